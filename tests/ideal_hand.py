"""An Allegro hand V4 over real DDS at the robot's arm: wherever it was sent, but for fingers that press."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("rclpy")

from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dynamo_policies.contract import Contract
from fakes.allegro import WonikV4
from ideal_robot import Robot


class RobotWithHand(Robot):
    """The robot; past `blocked` (16,) rad, above, the hand's joints press on something."""

    def __init__(self, node: Node, contract: Contract, positions: npt.ArrayLike) -> None:
        super().__init__(node, contract)
        self.hand, self.blocked = WonikV4(np.array(positions)), np.full(16, np.inf)
        self.sent: list[npt.NDArray[np.float64]] = []
        self.told: list[JointState] = []
        self.hand_states = node.create_publisher(JointState, "/joint_states", 20)
        node.create_subscription(Float64MultiArray, contract.hand.topic, self.take, 100)
        node.create_subscription(JointState, "/dynamo/target_hand", self.told.append, 100)
        node.create_timer(0.02, self.tell_hand)

    @property
    def measured(self) -> npt.NDArray[np.float64]:
        """Where the hand's joints are, (16,) rad."""
        return np.minimum(self.hand.positions, self.blocked)

    def take(self, message: Float64MultiArray) -> None:
        self.hand.take(message)
        self.sent.append(self.hand.positions)

    def tell_hand(self) -> None:
        message = JointState(name=list(WonikV4.joints), position=self.measured.tolist())
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.hand_states.publish(message)
