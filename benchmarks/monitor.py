"""What watching costs: CPU of the monitor node, with two cameras 640x480 at 30 Hz and joints at 100 Hz.

The publishers are a process of their own, the monitor is another; its CPU is what the system accounts to it.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from dynamo_policies.contract import Contract, load_contract

CONTRACT = Path(__file__).parents[1] / "config" / "robots" / "xarm_kitchen.yaml"
MONITOR = "from dynamo_ros.nodes.monitor_node import main; main()"
SETTLE_S = 5.0


def publish(contract: Contract, ended: multiprocessing.Event) -> None:  # type: ignore[valid-type]
    """Be the robot until `ended`."""
    import rclpy
    from sensor_msgs.msg import Image, JointState

    rclpy.init()
    node = rclpy.create_node("robot")
    size = {"height": 480, "width": 640, "encoding": "rgb8", "step": 1920}
    images = [Image(**size, data=bytes([value]) * 921600) for value in range(2)]
    cameras = [node.create_publisher(Image, one.topic, 10) for one in contract.cameras.values()]
    joints = node.create_publisher(JointState, contract.streams[contract.arm_stream].topic, 50)
    count = 0

    def shoot() -> None:
        nonlocal count
        count += 1
        image = images[count % 2]
        image.header.stamp = node.get_clock().now().to_msg()
        for camera in cameras:
            camera.publish(image)

    def move() -> None:
        position = [0.1 * math.sin(time.monotonic())] * len(contract.arm.joints)
        message = JointState(name=list(contract.arm.joints), position=position)
        message.header.stamp = node.get_clock().now().to_msg()
        joints.publish(message)

    node.create_timer(1 / 30, shoot)
    node.create_timer(1 / 100, move)
    while not ended.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    rclpy.shutdown()


def measure(seconds: float) -> dict[str, float]:
    """Return the monitor's CPU, percent of one core, and its memory, MB."""
    contract = load_contract(CONTRACT)
    cameras = {name: replace(one, width=640, height=480) for name, one in contract.cameras.items()}
    contract = replace(contract, streams=contract.streams | cameras)
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    robot = context.Process(target=publish, args=(contract, ended))
    robot.start()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contract.yaml"
        file.write_text(contract.to_yaml())
        monitor = subprocess.Popen(
            [sys.executable, "-c", MONITOR, "--ros-args", "-p", f"contract:={file}"], env=dict(os.environ)
        )
        try:
            time.sleep(SETTLE_S)
            return _cpu(psutil.Process(monitor.pid), seconds)
        finally:
            ended.set()
            monitor.terminate()
            monitor.wait(20)
            robot.join(20)


def _cpu(process: psutil.Process, seconds: float) -> dict[str, float]:
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return {
        "cpu_percent": 100 * used_s / (time.monotonic() - began),
        "memory_mb": process.memory_info().rss / 1e6,
    }


def main() -> int:
    """Measure, print and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 s instead of 60")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    figures = measure(10.0 if arguments.quick else 60.0)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
