"""The load of the latency benchmark: two cameras, an arm that follows, and a bundle with random weights."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import yaml
from recording_load import ROOT, Payload, Source
from scipy.spatial.transform import Rotation

from dynamo_policies.actions import ActionSpace
from dynamo_policies.bundle import save_bundle
from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.encoders import EncoderConfig, random_encoder
from dynamo_policies.kinematics import chain
from dynamo_policies.policies.base import PolicyRecord
from dynamo_policies.policies.mlp import MlpConfig, MlpNet, MlpPolicy

WIDTH, HEIGHT, CAMERA_HZ, JOINTS_HZ, COMMAND_HZ = 640, 480, 30.0, 100.0, 100.0
IMAGE_SIZE = 224
READY = [0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0]
SPREAD = (0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.0)  # of the random actions: m, rad, gripper
CPUS = 2
PATIENCE_S = 5.0
AWAKE_NS = 300_000
DRIFT = 2e-4


def contract(cameras: int = 2, policy_hz: float = 10.0) -> Contract:
    """Return the kitchen's contract with `cameras` at 640x480 and commands at 100 Hz."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config/robots/xarm_kitchen.yaml").read_text())
    camera = {**config["streams"]["fixed"], "width": WIDTH, "height": HEIGHT}
    streams = {f"camera{n}": {**camera, "topic": f"/bench/camera{n}"} for n in range(cameras)}
    streams |= {name: one for name, one in config["streams"].items() if one["kind"] != "image"}
    # A busy computer is to be measured, not to stop the arm.
    patience = {"stale_stop_s": PATIENCE_S, "tracking_stop_s": PATIENCE_S}
    arm = {**config["arm"], "rate_hz": COMMAND_HZ, **patience}
    # The arm of this benchmark has no controller that tells its state.
    gates = {**config.get("gates", {}), "robot_state": {"topic": None}}
    values = {**config, "streams": streams, "arm": arm, "gates": gates, "policy_rate_hz": policy_hz}
    return parse_contract(yaml.safe_dump(values, sort_keys=False), where="the benchmark's contract")


def write_bundle(folder: Path, robot: Contract, *, horizon: int = 10) -> Path:
    """Write a bundle of a ResNet-18 and a perceptron with random weights, whose targets are near READY."""
    encoder = random_encoder(EncoderConfig(image_size=IMAGE_SIZE))
    config = MlpConfig(horizon=horizon, relative=False)
    record = PolicyRecord(
        policy="mlp",
        config=dataclasses.asdict(config),
        tasks=tuple(robot.tasks),
        feature_size=len(robot.cameras) * encoder.record.config.feature_size,
        state_size=len(robot.state_names),
    )
    net = MlpNet(config, record)
    net.draw(torch.Generator().manual_seed(0))
    space = ActionSpace(robot.reference_rotation, relative=False)
    net.actions.mean.copy_(torch.from_numpy(_ready_action(robot, space)))
    net.actions.std.copy_(torch.tensor(SPREAD))
    save_bundle(folder, contract=robot, encoder=encoder, policy=MlpPolicy(net, record, space))
    return folder


def publish_camera(topic: str, number: int) -> None:
    """Publish images on `topic` until stdin ends, stamped with the moment at which each is due to be sent.

    As no two clocks are the same, camera `number` is DRIFT faster than the one before it: so each meets the
    other, and the ticks of policy and commands, in every phase, and figures do not hang on how a run began.

    As a camera's driver has it, the image lies ready by then. The last moment is waited for without sleep:
    what a sleeping process takes to wake up is none of the time of an image that is on its way.
    """
    import rclpy
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node(topic.replace("/", "_").strip("_"))
    publisher = node.create_publisher(Image, topic, QoSProfile(depth=20))
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    source = Source(topic, "sensor_msgs/msg/Image", CAMERA_HZ)
    # A camera that shows the same all the time counts as frozen.
    payloads = [Payload(source, seed=seed) for seed in range(3)]
    period_ns = round(1e9 / CAMERA_HZ / (1.0 + DRIFT * (number + 1)))
    count, due_ns = 0, time.time_ns()
    while not ended.is_set():
        count, due_ns = count + 1, max(due_ns + period_ns, time.time_ns())
        image = payloads[count % len(payloads)].numbered(count, due_ns)
        time.sleep(max(0, due_ns - time.time_ns() - AWAKE_NS) / 1e9)
        while time.time_ns() < due_ns:
            pass
        publisher.publish(image)
    node.destroy_node()
    rclpy.shutdown()


def start_camera(topic: str, number: int) -> subprocess.Popen[str]:
    """Return a process of its own, camera `number` on `topic`; closing its stdin ends it."""
    command = [sys.executable, str(Path(__file__).with_name("latency.py")), "--publish", topic, str(number)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


def image_message(seed: int, stamp_ns: int) -> Any:
    """Return something with the fields of a sensor_msgs/Image of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, HEIGHT * WIDTH * 3, np.uint8)
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    size = {"height": HEIGHT, "width": WIDTH, "encoding": "rgb8", "step": WIDTH * 3, "is_bigendian": 0}
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp, frame_id="camera"), data=pixels, **size)


def _ready_action(robot: Contract, space: ActionSpace) -> Any:
    position, rotation = chain(robot.kinematics).forward(READY, tool_offset_m=robot.tool_offset_m)
    quaternion = Rotation.from_matrix(rotation).as_quat()
    return space.encode(position, quaternion, 0.0, anchor_position=position, anchor_quaternion=quaternion)
