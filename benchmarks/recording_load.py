"""The load of the recording benchmarks: cameras, joints and commands, numbered in their headers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.mcap import open_file
from dynamo_policies.mcap_reader import read
from dynamo_policies.storage import typestore

ROOT = Path(__file__).resolve().parents[1]
CAMERAS, WIDTH, HEIGHT = 4, 640, 480
NUMBER_PLACE = 16  # of the number in CDR: encapsulation 4, stamp 8, length of frame_id 4
NUMBER_DIGITS = 10


class Source(NamedTuple):
    """A topic of the load."""

    topic: str
    type: str
    rate_hz: float

    @property
    def is_camera(self) -> bool:
        """Whether its messages are images."""
        return self.type.endswith("Image")


def sources(camera_hz: float = 30.0, cameras: int = CAMERAS) -> list[Source]:
    """Return the topics of the load."""
    images = [Source(f"/bench/camera{n}", "sensor_msgs/msg/Image", camera_hz) for n in range(cameras)]
    joints = [Source(f"/bench/joints{n}", "sensor_msgs/msg/JointState", 250.0) for n in range(2)]
    return [*images, *joints, Source("/bench/command", "geometry_msgs/msg/PoseStamped", 30.0)]


def contract(camera_hz: float = 30.0, cameras: int = CAMERAS) -> Contract:
    """Return the kitchen's contract on the topics of the load."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "config/robots/xarm_kitchen.yaml").read_text())
    camera = {**config["streams"]["fixed"], "width": WIDTH, "height": HEIGHT, "rate_hz": camera_hz}
    camera["max_age_ms"] = max(150.0, 2000.0 / camera_hz)
    streams = {
        f"camera{n}": {**camera, "topic": f"/bench/camera{n}", "role": "observation"} for n in range(cameras)
    }
    streams["arm"] = {**config["streams"]["arm"], "topic": "/bench/joints0", "rate_hz": 250}
    streams["gripper"] = {**config["streams"]["gripper"], "topic": "/bench/joints1", "rate_hz": 250}
    streams["target_pose"] = {**config["streams"]["target_pose"], "topic": "/bench/command", "rate_hz": 30}
    return parse_contract(yaml.safe_dump({**config, "streams": streams}), where="the benchmark's contract")


class Payload:
    """The CDR bytes of a source's messages, of which only stamp and number change."""

    def __init__(self, source: Source, *, size: tuple[int, int] = (WIDTH, HEIGHT), seed: int = 0) -> None:
        types = typestore().types
        header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](0, 0), "0" * NUMBER_DIGITS)
        message = _message(types, source, header, size, seed)
        self._bytes = bytearray(typestore().serialize_cdr(message, source.type))

    def numbered(self, number: int, stamp_ns: int) -> bytes:
        """Return message `number`."""
        struct.pack_into("<iI", self._bytes, 4, *divmod(stamp_ns, 10**9))
        self._bytes[NUMBER_PLACE : NUMBER_PLACE + NUMBER_DIGITS] = b"%010d" % number
        return bytes(self._bytes)


def numbers(file: Path) -> Iterator[tuple[str, int, int]]:
    """Yield topic, number and publish time of the load's messages in an MCAP file."""
    for channel, message in read(open_file(file), lambda channel: channel.topic.startswith("/bench/")):
        number = bytes(message.data[NUMBER_PLACE : NUMBER_PLACE + NUMBER_DIGITS])
        yield channel.topic, int(number), message.publish_ns


def _message(types: Any, source: Source, header: Any, size: tuple[int, int], seed: int) -> Any:
    if source.is_camera:
        pixels = np.random.default_rng(seed).integers(0, 256, size[0] * size[1] * 3, np.uint8)
        return types[source.type](header, size[1], size[0], "rgb8", 0, size[0] * 3, pixels)
    if source.type.endswith("JointState"):
        names = ["drive_joint"] if source.topic.endswith("1") else [f"joint{n}" for n in range(1, 8)]
        values = np.zeros(len(names))
        return types[source.type](header, names, values, values, values)
    point = types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0)
    turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    return types[source.type](header, types["geometry_msgs/msg/Pose"](point, turn))
