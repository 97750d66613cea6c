"""The inference node holds the live graph against its contract, over real DDS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionServer
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.inference_node import InferenceNode
from ideal_robot import Robot
from inference_fixtures import activate, change, made
from ros_fixtures import Ros

CAMERA = "/fixed/camera/color/image_raw"


class Wrong(Robot):
    """A robot whose fixed camera, and joints, can be others than the contract says."""

    width, encoding = 128, "rgb8"

    def show(self) -> None:
        """Publish images of a size and an encoding."""
        for publisher in self.cameras:
            image = Image(height=128, width=self.width, encoding=self.encoding, step=3 * self.width)
            image.data = bytes(image.step * 128)
            image.header.stamp = self.node.get_clock().now().to_msg()
            publisher.publish(image)

    def without_camera(self, topic: str) -> None:
        """Take a camera away."""
        (gone,) = (one for one in self.cameras if one.topic_name == topic)
        self.cameras.remove(gone)
        self.node.destroy_publisher(gone)


@pytest.fixture
def wrong(ros: Ros, contract: Contract) -> Wrong:
    return Wrong(ros.node("robot"), contract)


def known(ros: Ros, node: InferenceNode, publishers: dict[str, int]) -> None:
    """Wait until the node has discovered so many publishers of each topic."""
    ros.until(
        lambda: all(node.count_publishers(topic) == count for topic, count in publishers.items()),
        what=f"publishers {publishers}",
    )


def unconfigured(ros: Ros, bundle: Path, patient: Path) -> InferenceNode:
    return made(ros, bundle=str(bundle), contract=str(patient), task="put_yogurt")


def refused(ros: Ros, robot: Robot, node: InferenceNode, *expected: str) -> None:
    """Assert that activation is refused, and every text is in the one reason, once all has come in."""

    def told() -> bool:
        texts = "; ".join(map(str, node._parts.graph.check()))
        return all(text in texts for text in expected)

    ros.until(told, what=f"{expected}")
    assert not change(ros, robot, "activate")


@pytest.fixture
def script(ros: Ros) -> Iterator[Node]:
    """A node with a participant of its own: one participant has one type for a topic."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("script", context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_wrong_type_and_a_second_commander_are_refused_in_one_error(
    ros: Ros, robot: Robot, script: Node, bundle: Path, patient: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    node, other = unconfigured(ros, bundle, patient), script
    other.create_publisher(String, CAMERA, 10)
    other.create_publisher(JointTrajectory, robot.contract.arm.topic, 10)
    known(ros, node, {CAMERA: 2, robot.contract.arm.topic: 1})
    assert not change(ros, robot, "configure")
    error = capfd.readouterr().err
    assert "/script has type std_msgs/msg/String, expected sensor_msgs/msg/Image" in error
    assert f"{CAMERA} (fixed): 2 publishers, " in error
    assert f"{robot.contract.arm.topic} (commands): another commander, /script, expected none" in error


def test_a_refused_node_leaves_nothing_behind_and_can_be_configured_later(
    ros: Ros, robot: Robot, bundle: Path, patient: Path
) -> None:
    node, other = unconfigured(ros, bundle, patient), ros.node("script")
    rival = other.create_publisher(PoseStamped, "/dynamo/target_pose", 10)
    known(ros, node, {"/dynamo/target_pose": 1})
    assert not change(ros, robot, "configure")
    ros.until(lambda: node.count_publishers(robot.contract.arm.topic) == 0, what="no commander")
    other.destroy_publisher(rival)
    known(ros, node, {"/dynamo/target_pose": 0})
    assert change(ros, robot, "configure")
    activate(ros, robot)


def test_a_commander_that_comes_after_the_configuration_keeps_the_node_inactive(
    ros: Ros, robot: Robot, inference: InferenceNode
) -> None:
    other = ros.node("script")
    rival = other.create_publisher(JointTrajectory, robot.contract.arm.topic, 10)
    refused(ros, robot, inference, "another commander, /script")
    other.destroy_publisher(rival)
    activate(ros, robot)


def test_images_of_another_size_and_encoding_are_both_named(
    ros: Ros, wrong: Wrong, bundle: Path, patient: Path
) -> None:
    wrong.width, wrong.encoding = 64, "bgr8"
    node = unconfigured(ros, bundle, patient)
    assert change(ros, wrong, "configure")
    expected = ("images of 64x128, expected 128x128", "encoding 'bgr8', expected 'rgb8'", "(wrist)")
    refused(ros, wrong, node, *expected)


def test_a_missing_camera_is_waited_for_and_keeps_the_node_inactive(
    ros: Ros, wrong: Wrong, bundle: Path, patient: Path
) -> None:
    wrong.without_camera(CAMERA)
    node = unconfigured(ros, bundle, patient)
    known(ros, node, {CAMERA: 0})
    assert change(ros, wrong, "configure")
    refused(ros, wrong, node, f"{CAMERA} (fixed): no publisher, expected one of sensor_msgs/msg/Image")
    wrong.cameras.append(wrong.node.create_publisher(Image, CAMERA, 20))
    activate(ros, wrong)


def test_joints_of_other_names_keep_the_node_inactive(
    ros: Ros, robot: Robot, bundle: Path, patient: Path
) -> None:
    node = unconfigured(ros, bundle, patient)
    robot.tell_joints = lambda: robot.states.publish(JointState(name=["elbow"], position=[0.0]))
    robot.node.create_timer(0.02, lambda: robot.tell_joints())
    for timer in list(robot.node.timers)[:1]:  # its own, which tells the right ones
        robot.node.destroy_timer(timer)
    assert change(ros, robot, "configure")
    refused(ros, robot, node, "joints ['elbow'], expected ['joint1', ")


def test_a_gripper_that_nobody_offers_keeps_the_node_inactive(
    ros: Ros, robot: Robot, bundle: Path, patient: Path
) -> None:
    robot.server.destroy()
    node = unconfigured(ros, bundle, patient)
    assert change(ros, robot, "configure")
    refused(ros, robot, node, f"action {robot.contract.gripper.action}: no server")
    from control_msgs.action import GripperCommand

    robot.server = ActionServer(robot.node, GripperCommand, robot.contract.gripper.action, robot.grip)
    activate(ros, robot)


def test_autostart_says_what_it_waits_for(
    ros: Ros, bundle: Path, contract: Contract, capfd: pytest.CaptureFixture[str]
) -> None:
    values = {"bundle": str(bundle), "task": "put_yogurt", "autostart": True}
    ros.add(InferenceNode([Parameter(name, value=value) for name, value in values.items()]))
    told: list[str] = []

    def waits() -> bool:
        told.append(capfd.readouterr().err)
        expected = "not active yet: the live graph does not fit the contract in 5 points: "
        return f"{expected}{CAMERA} (fixed): no publisher" in "".join(told)

    ros.until(waits, what="what it waits for")
    robot = Robot(ros.node("robot"), contract)
    ros.until(lambda: len(robot.trajectories) > 10, what="commands")
