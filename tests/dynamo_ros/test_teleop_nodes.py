from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from control_msgs.action import GripperCommand
from control_msgs.msg import JointJog
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.action import ActionServer
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.joy_mapping import LAYOUTS
from dynamo_ros.nodes.joy_teleop_node import JoyTeleopNode
from dynamo_ros.nodes.messages import now_ns, to_joint_state, to_pose_stamped, to_time
from dynamo_ros.nodes.teleop_node import TeleopNode
from ideal_robot import write_patient
from ros_fixtures import Ros

START = np.array([0.0, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0])


class Arm:
    """An arm that is at once where it is sent, and a gripper that takes every goal."""

    def __init__(self, node: Node, contract: Contract) -> None:
        self.node, self._contract, self.joints = node, contract, START
        self.trajectories: list[JointTrajectory] = []
        self.commanded: list[PoseStamped] = []
        self.goals: list[float] = []
        self._states = node.create_publisher(JointState, "/xarm/joint_states", 10)
        node.create_subscription(JointTrajectory, contract.arm.topic, self._follow, 10)
        node.create_subscription(PoseStamped, "/dynamo/target_pose", self.commanded.append, 10)
        self._server = ActionServer(node, GripperCommand, contract.gripper.action, self._take)
        node.create_timer(0.01, self._report)

    def _follow(self, message: JointTrajectory) -> None:
        self.trajectories.append(message)
        self.joints = np.array(message.points[0].positions)

    def _take(self, handle: Any) -> GripperCommand.Result:
        self.goals.append(handle.request.command.position)
        handle.succeed()
        return GripperCommand.Result()

    def _report(self) -> None:
        stamp_ns = now_ns(self.node.get_clock())
        self._states.publish(to_joint_state(self._contract.arm.joints, self.joints, stamp_ns=stamp_ns))


@pytest.fixture
def arm(ros: Ros, contract: Contract) -> Arm:
    return Arm(ros.node("arm"), contract)


class Device:
    """Publishes targets at 50 Hz while it is told one."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pose = node.create_publisher(PoseStamped, "/teleop/target_pose", 10)
        self._wish = node.create_publisher(JointState, "/teleop/target_gripper", 10)
        self.target: Pose | None = None
        self.frame, self.gripper = "link_base", 0.0
        node.create_timer(0.02, self._publish)

    def _publish(self) -> None:
        if self.target is None:
            return
        stamp_ns = now_ns(self._node.get_clock())
        self._wish.publish(to_joint_state(["gripper"], [self.gripper], stamp_ns=stamp_ns))
        self._pose.publish(to_pose_stamped(self.target, stamp_ns=stamp_ns, frame=self.frame))


@pytest.fixture
def device(ros: Ros) -> Device:
    return Device(ros.node("device"))


@pytest.fixture
def teleop(ros: Ros, arm: Arm, contract: Contract, tmp_path: Path) -> TeleopNode:
    write_patient(contract, tmp_path / "patient.yaml")
    return ros.add(TeleopNode([Parameter("contract", value=str(tmp_path / "patient.yaml"))]))


@pytest.fixture
def up(contract: Contract) -> Pose:
    """A target 3 cm above the start."""
    pose = Commander(contract).forward(START)
    return Pose(pose.position + np.array([0.0, 0.0, 0.03]), pose.quaternion)


def rests(arm: Arm) -> bool:
    """Whether the last commands, of which there are always more, are the same."""
    last: Sequence[JointTrajectory] = arm.trajectories[-15:]
    return len(last) == 15 and len({tuple(one.points[0].positions) for one in last}) == 1


def come_to_rest(ros: Ros, arm: Arm, node: TeleopNode) -> None:
    """Wait until the node holds, and the arm stands."""
    ros.until(lambda: node._teleoperation.engagement == "holding", what="a hold")
    arm.trajectories.clear()
    ros.until(lambda: rests(arm), what="the arm at rest")


def test_the_arm_follows_targets_and_what_is_commanded_is_published(
    ros: Ros, teleop: TeleopNode, arm: Arm, device: Device, up: Pose
) -> None:
    device.target = up
    ros.until(lambda: arm.commanded and abs(arm.commanded[-1].pose.position.z - up.position[2]) < 2e-3)
    first = np.array(arm.trajectories[0].points[0].positions)
    assert np.abs(first - START).max() <= 2.0 * 0.02 + 1e-6


def test_the_arm_holds_when_targets_stop(
    ros: Ros, teleop: TeleopNode, arm: Arm, device: Device, up: Pose
) -> None:
    device.target = up
    ros.until(lambda: len(arm.commanded) > 5)
    device.target = None
    come_to_rest(ros, arm, teleop)
    held = arm.joints
    arm.trajectories.clear()
    ros.until(lambda: len(arm.trajectories) > 10, what="commands all the same")
    np.testing.assert_array_equal(arm.joints, held)


def test_the_gripper_gets_a_goal_on_change_only(
    ros: Ros, teleop: TeleopNode, arm: Arm, device: Device, up: Pose
) -> None:
    device.target = up
    ros.until(lambda: arm.goals == [0.0])
    ros.spin(0.3)
    device.gripper = 1.0
    ros.until(lambda: len(arm.goals) > 1)
    ros.spin(0.3)
    assert arm.goals == [0.0, 0.85]


def test_targets_in_another_frame_are_not_followed(
    ros: Ros, teleop: TeleopNode, arm: Arm, device: Device, up: Pose
) -> None:
    device.frame, device.target = "camera", up
    ros.spin(0.4)
    assert arm.trajectories == []


def test_a_stop_lasts_until_rearmed(ros: Ros, teleop: TeleopNode, arm: Arm, device: Device, up: Pose) -> None:
    device.target = up
    ros.until(lambda: len(arm.commanded) > 5)
    person = ros.node("person")
    assert ros.call(person, Trigger, "/teleop_node/stop", Trigger.Request()).success

    def silent() -> bool:
        """Whether no command comes for a while; a stop takes some to come to rest."""
        count = len(arm.trajectories)
        ros.spin(0.3)
        return len(arm.trajectories) == count

    ros.until(silent, what="the end of commands")
    count = len(arm.trajectories)
    assert ros.call(person, Trigger, "/teleop_node/rearm", Trigger.Request()).success
    ros.until(lambda: len(arm.trajectories) > count)


def test_rearming_does_not_cut_the_braking_of_a_stop_off(
    ros: Ros, teleop: TeleopNode, arm: Arm, device: Device, up: Pose
) -> None:
    device.target = up
    ros.until(lambda: teleop._commanded and teleop._teleoperation.moving, what="the arm to move")
    teleop._teleoperation.stop("asked for")
    refused = teleop._rearm(Trigger.Request(), Trigger.Response())
    assert (refused.success, refused.message) == (False, "the arm is still coming to rest; ask again")
    ros.until(lambda: teleop._rearm(Trigger.Request(), Trigger.Response()).success, what="re-arming")
    assert not teleop._teleoperation.moving
    assert teleop._teleoperation.stopped is None


def test_a_gamepad_moves_the_arm_while_its_deadman_is_held(
    ros: Ros, teleop: TeleopNode, arm: Arm, contract: Contract
) -> None:
    ros.add(JoyTeleopNode())
    node = ros.node("joy")
    publisher = node.create_publisher(Joy, "/joy", 10)
    layout = LAYOUTS["gamepad"]
    message = Joy(axes=[0.0, 1.0, 0.0, 0.0, 0.0, 0.0], buttons=[0] * 15)

    def press() -> None:
        message.header.stamp = to_time(now_ns(node.get_clock()))
        publisher.publish(message)

    node.create_timer(0.05, press)
    ros.spin(0.3)
    assert arm.trajectories == []
    message.buttons[layout.deadman] = 1
    start = Commander(contract).forward(START).position
    ros.until(lambda: arm.commanded and arm.commanded[-1].pose.position.x > start[0] + 0.03)
    assert arm.commanded[-1].pose.position.y == pytest.approx(start[1], abs=5e-3)


def test_a_joint_jog_moves_its_joint_while_it_is_told(ros: Ros, teleop: TeleopNode, arm: Arm) -> None:
    node = ros.node("jogger")
    jogs = node.create_publisher(JointJog, "/teleop/joint_jog", 10)
    wishes = node.create_publisher(JointState, "/teleop/target_gripper", 10)
    jog = JointJog(joint_names=["joint7"], velocities=[0.5])

    def tell() -> None:
        wishes.publish(to_joint_state(["gripper"], [0.0], stamp_ns=0))
        jogs.publish(jog)

    timer = node.create_timer(0.02, tell)
    ros.until(lambda: arm.joints[6] > 0.1, what="joint 7 to move")
    np.testing.assert_allclose(arm.joints[:6], START[:6], atol=1e-6)
    timer.cancel()
    come_to_rest(ros, arm, teleop)
    held = arm.joints
    jog.joint_names = ["joint9"]
    timer.reset()
    ros.spin(0.3)
    np.testing.assert_array_equal(arm.joints, held)


def test_a_twist_moves_the_tool_while_it_is_told(
    ros: Ros, teleop: TeleopNode, arm: Arm, contract: Contract
) -> None:
    node = ros.node("twister")
    twists = node.create_publisher(TwistStamped, "/teleop/twist", 10)
    wishes = node.create_publisher(JointState, "/teleop/target_gripper", 10)
    twist = TwistStamped()
    twist.header.frame_id = "camera"
    twist.twist.linear.z = 0.1

    def tell() -> None:
        wishes.publish(to_joint_state(["gripper"], [0.0], stamp_ns=0))
        twists.publish(twist)

    node.create_timer(0.02, tell)
    ros.spin(0.3)
    assert arm.trajectories == []
    twist.header.frame_id = "link_base"
    start = Commander(contract).forward(START).position
    ros.until(lambda: arm.commanded and arm.commanded[-1].pose.position.z > start[2] + 0.02)
    assert arm.commanded[-1].pose.position.x == pytest.approx(start[0], abs=5e-3)
    twist.header.frame_id, twist.twist.linear.z = "link_tcp", 0.1
    height = arm.commanded[-1].pose.position.z  # the tool points down: its z is the base's, turned round
    ros.until(lambda: arm.commanded[-1].pose.position.z < height - 0.02)
