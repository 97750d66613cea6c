"""An arm that is wherever it was sent, and notes when each command was sent."""

from __future__ import annotations

import bisect
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from control_msgs.action import GripperCommand
from rclpy.action.server import ActionServer
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rosidl_runtime_py.utilities import get_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, String
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.sinks import GripperCommandSink, TrajectoryArm
from dynamo_ros.core.ways import Given, place, resting
from dynamo_ros.faults.bench import REPORT_NS, WELL
from dynamo_ros.faults.distortions import Line
from dynamo_ros.faults.sensors import header
from dynamo_ros.nodes.messages import now_ns

FloatArray = npt.NDArray[np.float64]
SOUND = WELL | {"mt_able": -1}  # all bits, in the message's int16
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class FollowingArm:
    """The arm with its gripper, at `joints` (J,) rad first, its controller, and who holds the deadman.

    `sent` are its commands, by when they were sent. It is at once where a command leads to in a period, and
    brakes where no other follows. Joint states go by `line`. `reports` is what the controller says, and
    `held` whether the deadman is held; None: nothing is said of it. The clock of whoever commands may jump
    `ahead_ns` ahead of the one here.
    """

    def __init__(self, node: Node, contract: Contract, joints: FloatArray) -> None:
        self._node, self._contract = node, contract
        self.sent: list[Given] = []
        self.stops: list[str] = []  # why the node stopped, as it told; empty texts: no longer
        self.stand(joints)
        self.line = Line()
        self.reports: dict[str, int] | None = SOUND
        self.held: bool | None = True
        self.ahead_ns = 0
        stream = contract.streams[contract.arm_stream]
        self._states = node.create_publisher(JointState, stream.topic, 20)
        self._estop = node.create_publisher(Bool, contract.gates.estop.topic, 10)
        self._deadman = _publisher(node, "std_msgs/msg/Bool", contract.gates.deadman.topic)
        self._controller = _publisher(node, contract.gates.robot_state.type, contract.gates.robot_state.topic)
        # rclpy's types do not know of callbacks that take the message's info.
        follow: Any = self._follow
        node.create_subscription(JointTrajectory, _topic(contract), follow, 50)
        node.create_subscription(String, "/inference_node/stopped", self._note_stop, LATCHED)
        node.create_timer(1.0 / stream.rate_hz, self._tell)
        node.create_timer(REPORT_NS / 1e9, self._report)
        self._gripper: ActionServer | None = None
        if isinstance(contract.gripper, GripperCommandSink):
            self._gripper = ActionServer(node, GripperCommand, contract.gripper.action, self._grip)

    @property
    def joints(self) -> FloatArray:
        """Where the arm is, (J,) rad."""
        given, period_ns = self._given, self._contract.arm.period_ns
        since_ns = time.time_ns() - self._came_ns
        return place(self._contract.arm, given, given.joints, given.at_ns + period_ns + since_ns)

    def stand(self, joints: FloatArray) -> None:
        """Be at rest at `joints` (J,) rad."""
        self._given, self._came_ns = resting(joints), time.time_ns()

    def end(self) -> None:
        """Take the gripper out of the graph, where the end of its node would leave it."""
        if self._gripper is not None:
            self._gripper.destroy()

    def press(self, *, pressed: bool) -> None:
        """Press or release the e-stop."""
        self._estop.publish(Bool(data=pressed))

    def _follow(self, message: JointTrajectory, info: Mapping[str, int | None]) -> None:
        way = np.array([point.positions for point in message.points])
        told_ns, received_ns = int(info["source_timestamp"] or 0), int(info["received_timestamp"] or 0)
        # The middleware hands on what waits by the clock of whoever sent it.
        given = Given(sent_ns(told_ns, received_ns, self.ahead_ns), way[0], way[1:])
        bisect.insort(self.sent, given, key=lambda one: one.at_ns)
        self._given, self._came_ns = given, time.time_ns()

    def _note_stop(self, message: String) -> None:
        self.stops.append(message.data)

    def _grip(self, handle: Any) -> GripperCommand.Result:
        handle.succeed()
        return GripperCommand.Result()

    def _tell(self) -> None:
        stamp_ns, arm = now_ns(self._node.get_clock()), self._contract.arm_stream
        for message in self.line.carry(self._state(arm, self.joints, stamp_ns), stamp_ns):
            self._states.publish(to_joint_state(message))
        for name in self._others():
            still = np.zeros(len(self._contract.streams[name].joints))
            self._states.publish(to_joint_state(self._state(name, still, stamp_ns)))

    def _report(self) -> None:
        if self._deadman is not None and self.held is not None:
            self._deadman.publish(Bool(data=self.held))
        if self._controller is not None and self.reports is not None:
            make: Any = self._controller.msg_type
            self._controller.publish(make(**self.reports))

    def _state(self, name: str, joints: FloatArray, stamp_ns: int) -> Any:
        names = list(self._contract.streams[name].joints)
        return SimpleNamespace(header=header(stamp_ns), name=names, position=joints.tolist())

    def _others(self) -> list[str]:
        """Return the other observed streams of joints on the arm's topic."""
        topic = self._contract.streams[self._contract.arm_stream].topic
        return [
            name
            for name, one in self._contract.observed.items()
            if one.topic == topic and name != self._contract.arm_stream
        ]


def sent_ns(told_ns: int, received_ns: int, ahead_ns: int) -> int:
    """Return when a message was sent by the receiver's clock; the sender's is right, or `ahead_ns` ahead."""
    return min(told_ns, told_ns - ahead_ns, key=lambda one: abs(one - received_ns))


def _publisher(node: Node, kind: str, topic: str | None) -> Publisher | None:
    return None if topic is None else node.create_publisher(get_message(kind), topic, 10)


def _topic(contract: Contract) -> str:
    """Return where the arm is commanded; ConfigError where that is not a topic of joint trajectories."""
    if not isinstance(contract.arm, TrajectoryArm):
        raise ConfigError(
            f"arm.kind {contract.arm.kind!r} can't be tried over ROS; possible: 'joint_trajectory'"
        )
    return contract.arm.topic


def to_joint_state(plain: Any) -> JointState:
    """Return the message of a plain object with its fields."""
    message = JointState(name=plain.name, position=plain.position)
    message.header.stamp.sec, message.header.stamp.nanosec = (
        plain.header.stamp.sec,
        plain.header.stamp.nanosec,
    )
    return message
