"""The command topic of an Allegro hand as its driver has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy.typing as npt
from rclpy.node import Node
from rclpy.qos import qos_profile_system_default
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dynamo_policies.hand_sink import HandSink
from dynamo_sim.controllers import RejectedError


class HandTopic:
    """Passes on what comes for a hand, by place, as the drivers take it.

    What the driver's controller could not take is logged, and the hand stays as it was. The topic drivers
    ignore a message that holds efforts too.
    """

    def __init__(self, node: Node, hand: HandSink, command: Callable[[npt.ArrayLike], None]) -> None:
        self._node, self._command = node, command
        if hand.kind == "allegro_v4":
            node.create_subscription(
                Float64MultiArray, hand.topic, self._take_array, qos_profile_system_default
            )
        else:
            node.create_subscription(JointState, hand.topic, self._take_joints, 1)

    def _take_array(self, message: Float64MultiArray) -> None:
        self._pass_on(message.data)

    def _take_joints(self, message: JointState) -> None:
        if not message.effort:
            self._pass_on(message.position)

    def _pass_on(self, positions: Sequence[float]) -> None:
        try:
            self._command(list(positions))
        except RejectedError as error:
            self._node.get_logger().warning(f"hand command rejected: {error}", throttle_duration_sec=1.0)
