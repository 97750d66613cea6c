"""The other end of the latency benchmark: an arm that follows its commands and notes when each came."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import rclpy
from control_msgs.action import GripperCommand
from diagnostic_msgs.msg import DiagnosticArray
from latency_load import JOINTS_HZ, READY
from rclpy.action import ActionServer
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.plan_times import PLANS, STAGE, PlanTimes, from_text


class Arrival(NamedTuple):
    """When a command was sent and when it came, ns of the system's clock."""

    sent_ns: int
    received_ns: int


class Heard(NamedTuple):
    """All that came of the inference node."""

    arrivals: list[Arrival]
    plans: list[PlanTimes]
    stages: dict[str, dict[str, str]]  # the last figures of each stage
    engine: str
    counts: dict[str, str]
    stops: list[str]


def watch(robot: Contract, seconds: float, *, patience_s: float = 120.0) -> Heard:
    """Be the arm for `seconds` from the first command on, and return what came.

    Raises:
        TimeoutError: no command came within `patience_s`.
    """
    rclpy.init()
    node = rclpy.create_node("bench_robot")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    arm = _Arm(node, robot)
    try:
        deadline = time.monotonic() + patience_s
        while not arm.heard.arrivals:
            executor.spin_once(timeout_sec=0.1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"no command within {patience_s:g} s")
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            executor.spin_once(timeout_sec=0.1)
        return arm.heard
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()


class _Arm:
    def __init__(self, node: Any, robot: Contract) -> None:
        self.heard = Heard([], [], {}, "", {}, [])
        self._node, self._robot, self._joints = node, robot, list(READY)
        self._states = node.create_publisher(JointState, robot.streams[robot.arm_stream].topic, 20)
        node.create_subscription(JointTrajectory, robot.arm.topic, self._follow, 20)
        node.create_subscription(DiagnosticArray, "/inference_node/timing", self._note_timing, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._note_health, 10)
        node.create_subscription(String, "/inference_node/stopped", self._note_stop, 10)
        self._gripper = ActionServer(node, GripperCommand, robot.gripper.action, self._grip)
        node.create_timer(1.0 / JOINTS_HZ, self._tell)
        node.create_timer(0.5, self._tell_gripper)

    def _follow(self, message: JointTrajectory, info: Mapping[str, int | None]) -> None:
        sent, received = info["source_timestamp"], info["received_timestamp"]
        self.heard.arrivals.append(Arrival(int(sent or 0), int(received or 0)))
        self._joints = list(message.points[0].positions)

    def _grip(self, handle: Any) -> GripperCommand.Result:
        handle.succeed()
        return GripperCommand.Result()

    def _note_timing(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name == PLANS:
                self.heard.plans.extend(from_text(*item) for item in values.items())
            elif status.name.startswith(STAGE):
                self.heard.stages[status.name.removeprefix(STAGE)] = values

    def _note_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.heard.counts.update({pair.key: pair.value for pair in status.values})

    def _note_stop(self, message: String) -> None:
        if message.data:
            self.heard.stops.append(message.data)

    def _tell(self) -> None:
        self._publish(self._robot.arm.joints, self._joints)

    def _tell_gripper(self) -> None:
        self._publish(["drive_joint"], [0.0])

    def _publish(self, names: Any, positions: list[float]) -> None:
        message = JointState(name=list(names), position=positions)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(message)
