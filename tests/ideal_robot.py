"""A robot over real DDS without physics: an arm that is wherever it was commanded, and cameras."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from control_msgs.action import GripperCommand
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.gates import FirstAction, RobotStateGate
from dynamo_policies.limits import Limit
from dynamo_policies.timing import TimingLimits

READY = [0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0]

PATIENCE_S = 6.0
LATE = Limit(amber=None, red=1e3 * PATIENCE_S)
SLOW = Limit(amber=0.1, red=0.02)  # of the contract's rate, at which a busy computer still publishes


def write_patient(contract: Contract, path: Path) -> Contract:
    """Write `contract` to `path` with more time for a computer that tests keep busy, and return it.

    The robot has no controller that reports, and its policies drive off to wherever a test wants them.
    """
    arm = dataclasses.replace(contract.arm, stale_stop_s=PATIENCE_S, tracking_stop_s=PATIENCE_S)
    gates = dataclasses.replace(
        contract.gates,
        plan=dataclasses.replace(contract.gates.plan, stop_after_s=PATIENCE_S),
        clock=dataclasses.replace(contract.gates.clock, jump_ms=1e3 * PATIENCE_S),
        robot_state=RobotStateGate(),
        first_action=FirstAction(within_m=1.0, within_rad=3.2),
        takeover=dataclasses.replace(contract.gates.takeover, silence_ms=2e3),
    )
    streams = {
        name: stream if stream.max_age_ms is None else dataclasses.replace(stream, max_age_ms=1e3)
        for name, stream in contract.streams.items()
    }
    hand = None if contract.hand is None else dataclasses.replace(contract.hand, stale_stop_s=PATIENCE_S)
    quality = dataclasses.replace(contract.quality, rate=SLOW, offset_ms=LATE)
    parts = {"gates": gates, "streams": streams, "quality": quality, "timing": TimingLimits()}
    patient = dataclasses.replace(contract, arm=arm, hand=hand, **parts)
    path.write_text(patient.to_yaml())
    return patient


class Robot:
    """The robot; `seeing` switches its cameras."""

    def __init__(self, node: Node, contract: Contract) -> None:
        self.node, self.contract, self.joints, self.seeing = node, contract, READY, True
        self.shown = 0
        self.trajectories: list[JointTrajectory] = []
        self.poses: list[PoseStamped] = []
        self.grips: list[float] = []
        self.cameras = [node.create_publisher(Image, one.topic, 20) for one in contract.cameras.values()]
        self.states = node.create_publisher(JointState, "/xarm/joint_states", 20)
        node.create_subscription(JointTrajectory, contract.arm.topic, self.follow, 20)
        node.create_subscription(PoseStamped, "/dynamo/target_pose", self.poses.append, 20)
        if contract.gripper is not None:
            self.server = ActionServer(node, GripperCommand, contract.gripper.action, self.grip)
        node.create_timer(0.02, self.tell_joints)
        node.create_timer(0.04, self.show)

    def follow(self, message: JointTrajectory) -> None:
        self.trajectories.append(message)
        self.joints = list(message.points[0].positions)

    def grip(self, handle: object) -> GripperCommand.Result:
        self.grips.append(handle.request.command.position)
        handle.succeed()
        return GripperCommand.Result()

    def tell_joints(self) -> None:
        for names, positions in ((self.contract.arm.joints, self.joints), (["drive_joint"], [0.0])):
            message = JointState(name=list(names), position=positions)
            message.header.stamp = self.node.get_clock().now().to_msg()
            self.states.publish(message)

    def show(self) -> None:
        self.shown += 1  # no two images are the same, as from a camera
        for publisher in self.cameras if self.seeing else []:
            data = bytes([self.shown % 256]) * (128 * 384)
            image = Image(height=128, width=128, encoding="rgb8", step=384, data=data)
            image.header.stamp = self.node.get_clock().now().to_msg()
            publisher.publish(image)
