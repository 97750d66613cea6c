"""A hand on DDS that follows its commands, and notes when each was sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_ros.drivers import HAND_TYPES
from dynamo_ros.faults.distortions import Line
from dynamo_ros.faults.hand import FollowingHand
from dynamo_ros.faults.sensors import header
from dynamo_ros.nodes.faults.arm import sent_ns, to_joint_state
from dynamo_ros.nodes.messages import now_ns


class HandOnDds:
    """The hand of a contract, if it has one: `follows` notes its commands, its states go by `line`.

    The clock of whoever commands may jump `ahead_ns` ahead of the one here.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self.follows = FollowingHand(contract, time.time_ns(), swings=True)
        self.line, self.ahead_ns = Line(), 0
        self._node = node
        if contract.hand is None or contract.hand_stream is None:
            return
        self._joints, stream = list(contract.hand.joints), contract.streams[contract.hand_stream]
        self._states = node.create_publisher(JointState, stream.topic, 20)
        # rclpy's types do not know of callbacks that take the message's info.
        follow: Any = self._follow
        node.create_subscription(HAND_TYPES[contract.hand.kind], contract.hand.topic, follow, 50)
        node.create_timer(1.0 / stream.rate_hz, self._tell)

    def _follow(self, message: Any, info: Mapping[str, int | None]) -> None:
        joints = message.position if isinstance(message, JointState) else message.data
        told_ns, received_ns = int(info["source_timestamp"] or 0), int(info["received_timestamp"] or 0)
        self.follows.follow(np.array(joints), sent_ns(told_ns, received_ns, self.ahead_ns))

    def _tell(self) -> None:
        stamp_ns = now_ns(self._node.get_clock())
        posture = self.follows.at(time.time_ns()).tolist()
        state = SimpleNamespace(header=header(stamp_ns), name=list(self._joints), position=posture)
        for message in self.line.carry(state, stamp_ns):
            self._states.publish(to_joint_state(message))
