"""Commands for the drivers of Allegro hands.

None of them looks at names: positions count by their place in the driver's order, which is the order of
contract.hand.joints, checked when the contract is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dynamo_policies.hand_sink import HandSink


def position_array(_hand: HandSink, joints: Iterable[float]) -> Float64MultiArray:
    """Return the message that sends the hand to `joints`, (16,) rad, by allegro_hand_ros2's controller."""
    return Float64MultiArray(data=list(map(float, joints)))


def joint_command(hand: HandSink, joints: Iterable[float]) -> JointState:
    """Return the message that sends the hand to `joints`, (16,) rad, by the drivers that are topic nodes.

    Positions only: the PD node ignores a message that has efforts too.
    """
    return JointState(name=list(hand.joints), position=list(map(float, joints)))
