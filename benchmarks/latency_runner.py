"""Camera message to command without ROS: decoding, aligning, networks, shaping and limits in one process."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from latency_load import READY, contract, image_message, write_bundle

from dynamo_policies.bundle import load_bundle
from dynamo_policies.decode import Decoder
from dynamo_policies.engines.choice import use_engine
from dynamo_policies.observation import Sample
from dynamo_ros.core.runner import Runner

TASK = "put_yogurt"
WARM_UPS = 20


def measure_runner(cameras: int, device: str, engine: str, quick: bool) -> dict[str, Any]:
    """Return what passes from messages of all `cameras`, there at once, to the command.

    `last_message_to_command` begins with the message of the last camera, the others being decoded already, as
    happens where cameras are not triggered together.
    """
    robot = contract(cameras)
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(write_bundle(Path(folder), robot), device=device)
    choice = use_engine(
        bundle.embedder,
        engine,
        clock_ns=time.perf_counter_ns,
        policy=bundle.policy,
        threads=torch.get_num_threads(),
    )
    runner, decoder = Runner(bundle, clock_ns=time.perf_counter_ns), Decoder(robot, bundle.frames)
    runner.warm_up()
    rows = _run(runner, decoder, 40 if quick else 1000)[WARM_UPS:]
    p50, p99 = np.percentile(rows, [50, 99], axis=0)
    return {
        "message_to_command_p50_ms": p50[0],
        "message_to_command_p99_ms": p99[0],
        "last_message_to_command_p50_ms": p50[1],
        "last_message_to_command_p99_ms": p99[1],
        "cameras": cameras,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "engine": choice.engine.name,
        "engines": [str(one) for one in choice.measured],
        "stages_ms": {name: one._asdict() for name, one in runner.timings.summary().items()},
        "observations": len(rows),
    }


def _run(runner: Runner, decoder: Decoder, count: int) -> list[tuple[float, float]]:
    """Return two times (ms) for each of `count` ticks of invented time."""
    robot, period_ns = runner.contract, runner.contract.period_ns
    start_ns, joints, rows = 10**12 // period_ns * period_ns, np.array(READY), []
    messages = [image_message(seed, start_ns) for seed in range(len(robot.cameras) + 3)]
    _tell_joints(runner, joints, start_ns)
    for number in range(count + 1):
        tick_ns = start_ns + number * period_ns
        for step in range(robot.arm.period_ns, period_ns, robot.arm.period_ns):
            _tell_joints(runner, joints, tick_ns - period_ns + step)
            if (command := runner.command(tick_ns - period_ns + step)) is not None:
                joints = command.joints
        _tell_joints(runner, joints, tick_ns)
        chosen = [messages[(number + place) % len(messages)] for place in range(len(robot.cameras))]
        for message in chosen:
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(tick_ns, 10**9)
        begun, last = time.perf_counter_ns(), 0
        for name, message in zip(robot.cameras, chosen, strict=True):
            last = time.perf_counter_ns()
            sample = decoder.decode(name, message, tick_ns)
            assert sample is not None
            runner.push(sample)
        if number == 0:
            runner.begin(TASK, tick_ns)
            continue
        work = runner.due(tick_ns + robot.settle_ns)
        assert work is not None
        runner.accept(runner.infer(work), tick_ns + robot.settle_ns)
        command = runner.command(tick_ns + robot.settle_ns)
        ended = time.perf_counter_ns()
        assert runner.stopped is None, runner.stopped
        joints = joints if command is None else command.joints
        rows.append(((ended - begun) / 1e6, (ended - last) / 1e6))
    return rows


def _tell_joints(runner: Runner, joints: np.ndarray[Any, Any], stamp_ns: int) -> None:
    runner.push(Sample("arm", stamp_ns, joints))
    runner.push(Sample("gripper", stamp_ns, np.zeros(1)))
