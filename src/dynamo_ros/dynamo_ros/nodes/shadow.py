"""A policy without authority: what it would command, and how far that is from what is commanded."""

from __future__ import annotations

import math
from typing import ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.streams import PoseStream
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.divergence import Apart
from dynamo_ros.core.hand_target import HandTargetError, hand_joints
from dynamo_ros.core.shadow import Shadow, Summary
from dynamo_ros.core.takeover import Holder
from dynamo_ros.nodes.commands import action_stream
from dynamo_ros.nodes.messages import (
    from_pose_message,
    now_ns,
    to_joint_state,
    to_ns,
    to_pose_stamped,
    to_time,
)
from dynamo_ros.nodes.qos import COMMANDS

NAME = "dynamo shadow"
PERIOD_S, LOGGED_S = 1.0, 5.0


class ShadowPublisher:
    """Takes commands as CommandPublisher does. No driver, and nobody who commands, gets anything of it.

    It publishes `~/shadow/target_pose`, `~/shadow/target_gripper` and `~/shadow/target_hand` where the robot
    has one, and once a second `~/shadow/divergence`.
    """

    sent_ns: ClassVar[int] = 0  # nothing ever is

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node, self._stream = node, action_stream(contract, PoseStream)
        self._contract, streams = contract, contract.streams
        hand = streams.get("target_hand") if contract.hand is not None else None
        gripper = streams.get("target_gripper") if contract.gripper is not None else None
        self._shadow = Shadow(self._stream.max_age_ns or 0, (hand and hand.max_age_ns) or 0)
        self._pose = node.create_publisher(PoseStamped, "~/shadow/target_pose", COMMANDS)
        self._gripper, self._hand = (
            None if stream is None else node.create_publisher(JointState, f"~/shadow/{name}", COMMANDS)
            for name, stream in (("target_gripper", gripper), ("target_hand", hand))
        )
        self._divergence = node.create_publisher(DiagnosticArray, "~/shadow/divergence", 10)
        self._subscriptions = [
            node.create_subscription(PoseStamped, self._stream.topic, self._hear, COMMANDS)
        ]
        self._subscriptions += [
            node.create_subscription(JointState, stream.topic, hear, COMMANDS)
            for stream, hear in ((gripper, self._hear_gripper), (hand, self._hear_hand))
            if stream is not None
        ]
        self._timer = node.create_timer(PERIOD_S, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def prepare(self) -> None:
        """Do nothing: there is no driver."""

    def ready(self, now_ns: int) -> bool:  # noqa: ARG002  # as CommandPublisher's
        """Return True: there is no driver."""
        return True

    def fault(self) -> str:
        """Return an empty text: there is no driver."""
        return ""

    def rest(self, *, stopped: bool) -> None:
        """Do nothing: there is no driver."""

    def publish(self, command: ArmCommand, stamp_ns: int) -> None:
        """Tell what would be commanded, and compare it."""
        target = command.target
        self._pose.publish(to_pose_stamped(target.pose, stamp_ns=stamp_ns, frame=self._stream.frame))
        if self._gripper is not None:
            self._gripper.publish(to_joint_state(["gripper"], [target.gripper], stamp_ns=stamp_ns))
        if self._hand is not None and target.hand is not None:
            names = self._contract.need_hand("a target of one").joints
            self._hand.publish(to_joint_state(names, target.hand.tolist(), stamp_ns=stamp_ns))
        self._shadow.wished(target, stamp_ns)

    def destroy(self) -> None:
        """Take all off the node."""
        self._node.destroy_timer(self._timer)
        for publisher in (self._pose, self._gripper, self._hand, self._divergence):
            if publisher is not None:
                self._node.destroy_publisher(publisher)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _hear(self, message: PoseStamped) -> None:
        self._shadow.commanded(from_pose_message(message.pose), to_ns(message.header.stamp))

    def _hear_gripper(self, message: JointState) -> None:
        if len(message.position) == 1:
            self._shadow.gripped(message.position[0])

    def _hear_hand(self, message: JointState) -> None:
        try:
            joints = hand_joints(self._contract.hand, message.name, message.position)
        except HandTargetError as error:
            self._node.get_logger().error(f"what the hand is commanded: {error}", throttle_duration_sec=1.0)
            return
        self._shadow.handed(joints, to_ns(message.header.stamp))

    def _tell(self) -> None:
        summary = self._shadow.take_summary()
        message = DiagnosticArray(status=[_status(summary)])
        message.header.stamp = to_time(now_ns(self._node.get_clock()))
        self._divergence.publish(message)
        if summary.wishes:
            text = f"shadow: {message.status[0].message}"
            self._node.get_logger().info(text, throttle_duration_sec=LOGGED_S)


class NoAuthority:
    """In the place of AuthorityTopic: nobody is told anything, and nobody else's word counts."""

    other = None

    def tell(self, holder: Holder) -> None:
        """Do nothing."""


def _status(summary: Summary) -> DiagnosticStatus:
    values = {"wishes": str(summary.wishes), "compared": str(summary.compared)}
    for name in ("last", "median", "most"):
        if (apart := getattr(summary, name)) is not None:
            values |= {f"{part} {name}": text for part, text in _parts(apart).items()}
    return DiagnosticStatus(
        level=DiagnosticStatus.OK,
        name=NAME,
        message=_text(summary),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _parts(apart: Apart) -> dict[str, str]:
    """Return what there is of a difference, by name and unit."""
    told = {
        "position m": f"{apart.metres:.5f}",
        "rotation rad": f"{apart.radians:.5f}",
        "gripper": f"{apart.gripper:.3f}",
        "hand rad": f"{apart.hand:.5f}",
    }
    return {
        name: text for (name, text), value in zip(told.items(), apart, strict=True) if math.isfinite(value)
    }


def _text(summary: Summary) -> str:
    if summary.median is None:
        return "nobody commands" if summary.wishes else "the policy wishes nothing"
    metres, radians, gripper, hand = summary.median
    far = [f"{metres * 1e3:.1f} mm", f"{radians:.3f} rad"]
    far += [f"{gripper:.2f} of the gripper's way"] if math.isfinite(gripper) else []
    far += [f"{hand:.3f} rad of the hand's farthest joint"] if math.isfinite(hand) else []
    return f"{', '.join(far)} from what is commanded (median of {summary.compared})"
