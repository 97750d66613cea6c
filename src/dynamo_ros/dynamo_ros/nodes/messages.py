"""From our values to ROS messages and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from sensor_msgs.msg import JointState

from dynamo_policies.observation import Pose

SECOND_NS = 1_000_000_000
READINGS = 2


def now_ns(clock: Clock) -> int:
    """Return the time of `clock`, nanoseconds."""
    return int(clock.now().nanoseconds)


def both_ns(clock: Clock, steady: Clock) -> tuple[int, int]:
    """Return the times of two clocks, nanoseconds, read at one moment.

    A busy computer may take this process off its processor between two readings, and the clocks would seem
    to have parted: of a few tries the one counts that took the shortest.
    """
    tries = [(now_ns(steady), now_ns(clock), now_ns(steady)) for _ in range(READINGS)]
    before_ns, read_ns, after_ns = min(tries, key=lambda one: one[2] - one[0])
    return read_ns, (before_ns + after_ns) // 2


def to_time(stamp_ns: int) -> Time:
    """Return nanoseconds as a message."""
    return Time(sec=stamp_ns // SECOND_NS, nanosec=stamp_ns % SECOND_NS)


def to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)


def to_pose_message(pose: Pose) -> PoseMessage:
    """Return the pose as a message, m and quaternion."""
    message = PoseMessage()
    message.position.x, message.position.y, message.position.z = map(float, pose.position)
    q = message.orientation
    q.x, q.y, q.z, q.w = map(float, pose.quaternion)
    return message


def to_pose_stamped(pose: Pose, *, stamp_ns: int, frame: str) -> PoseStamped:
    """Return the pose as a message in `frame`."""
    message = PoseStamped(pose=to_pose_message(pose))
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame
    return message


def from_pose_message(message: PoseMessage) -> Pose:
    """Return the pose that a message holds."""
    p, q = message.position, message.orientation
    return Pose(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))


def to_joint_state(names: Sequence[str], positions: Sequence[float], *, stamp_ns: int) -> JointState:
    """Return joint positions as a message without velocities or efforts."""
    message = JointState(name=list(names), position=[float(value) for value in positions])
    message.header.stamp = to_time(stamp_ns)
    return message
