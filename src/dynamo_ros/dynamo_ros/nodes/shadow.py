"""A policy without authority: what it would command, and how far that is from what is commanded."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.streams import PoseStream
from dynamo_ros.core.commander import ArmCommand
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

    It publishes `~/shadow/target_pose`, `~/shadow/target_gripper`, and once a second `~/shadow/divergence`.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node, self._stream = node, action_stream(contract, PoseStream)
        self._shadow = Shadow(self._stream.max_age_ns or 0)
        self._pose = node.create_publisher(PoseStamped, "~/shadow/target_pose", COMMANDS)
        self._gripper = node.create_publisher(JointState, "~/shadow/target_gripper", COMMANDS)
        self._divergence = node.create_publisher(DiagnosticArray, "~/shadow/divergence", 10)
        self._subscriptions = [
            node.create_subscription(PoseStamped, self._stream.topic, self._hear, COMMANDS)
        ]
        if (gripper := contract.streams.get("target_gripper")) is not None:
            self._subscriptions.append(
                node.create_subscription(JointState, gripper.topic, self._hear_gripper, COMMANDS)
            )
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
        self._gripper.publish(to_joint_state(["gripper"], [target.gripper], stamp_ns=stamp_ns))
        self._shadow.wished(target, stamp_ns)

    def destroy(self) -> None:
        """Take all off the node."""
        self._node.destroy_timer(self._timer)
        for publisher in (self._pose, self._gripper, self._divergence):
            self._node.destroy_publisher(publisher)
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _hear(self, message: PoseStamped) -> None:
        self._shadow.commanded(from_pose_message(message.pose), to_ns(message.header.stamp))

    def _hear_gripper(self, message: JointState) -> None:
        if len(message.position) == 1:
            self._shadow.gripped(message.position[0])

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
            values |= {
                f"position m {name}": f"{apart.metres:.5f}",
                f"rotation rad {name}": f"{apart.radians:.5f}",
                f"gripper {name}": f"{apart.gripper:.3f}",
            }
    return DiagnosticStatus(
        level=DiagnosticStatus.OK,
        name=NAME,
        message=_text(summary),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _text(summary: Summary) -> str:
    if summary.median is None:
        return "nobody commands" if summary.wishes else "the policy wishes nothing"
    metres, radians, gripper = summary.median
    far = f"{metres * 1e3:.1f} mm, {radians:.3f} rad and {gripper:.2f} of the gripper's way"
    return f"{far} from what is commanded (median of {summary.compared})"
