"""Kinesthetic teaching over DDS, with a driver's mode services in place of the vendor's package."""

import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dynamo_policies.contract import Contract
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.free_drive import ModeCall
from dynamo_ros.drivers.errors import MissingPackageError
from dynamo_ros.drivers.xarm_services import Answered
from dynamo_ros.nodes.kinesthetic_teleop_node import KinestheticTeleopNode
from dynamo_ros.nodes.xarm_services import Reported
from ideal_robot import Robot
from ros_fixtures import Ros


class Driver:
    """The mode half of an arm's driver: records calls and takes them all."""

    def __init__(self, _node: Node, namespace: str, reported: Reported) -> None:
        self.namespace, self.reported = namespace, reported
        self.calls: list[ModeCall] = []
        self.absent: list[str] = []

    def missing(self) -> list[str]:
        return self.absent

    def call(self, call: ModeCall, answered: Answered) -> None:
        self.calls.append(call)
        answered(0, "")


class Bench:
    """A robot, the node, its driver, and what is published as commanded."""

    def __init__(self, ros: Ros, contract: Contract) -> None:
        self.ros = ros
        self.robot = Robot(ros.node("robot"), contract)
        self.robot.seeing = False
        self.person = ros.node("person")
        self.labels: list[PoseStamped] = []
        self.person.create_subscription(PoseStamped, "/dynamo/target_pose", self.labels.append, 10)
        self.node = ros.add(KinestheticTeleopNode(make_services=self._make))

    def _make(self, node: Node, namespace: str, reported: Reported) -> Driver:
        self.driver = Driver(node, namespace, reported)
        return self.driver

    def ask(self, name: str) -> Trigger.Response:
        service = f"/kinesthetic_teleop_node/{name}"
        return self.ros.call(self.person, Trigger, service, Trigger.Request())


@pytest.fixture
def bench(ros: Ros, contract: Contract) -> Bench:
    return Bench(ros, contract)


def test_a_led_arm_is_labelled_and_not_commanded(ros: Ros, bench: Bench, contract: Contract) -> None:
    ros.spin(0.2)
    assert bench.labels == []
    assert bench.ask("begin").success
    ros.until(lambda: len(bench.labels) > 5, what="labels")
    bench.robot.joints = [0.1, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0]
    led = Commander(contract).forward(bench.robot.joints).position
    ros.until(lambda: abs(bench.labels[-1].pose.position.y - led[1]) < 1e-4, what="the led pose as label")
    assert bench.robot.trajectories == []
    assert bench.driver.calls == [
        ModeCall("motion_enable", 1, 8), ModeCall("set_mode", 2), ModeCall("set_state", 0)
    ]  # fmt: skip
    assert bench.ask("end").success
    ros.until(lambda: bench.node.returned, what="the end of hand guiding")
    assert bench.driver.calls[3:] == [ModeCall("set_mode", 1), ModeCall("set_state", 0)]
    ros.spin(0.1)
    count = len(bench.labels)
    ros.spin(0.2)
    assert len(bench.labels) == count


def test_the_gripper_follows_its_wishes(ros: Ros, bench: Bench) -> None:
    wishes = bench.person.create_publisher(JointState, "/teleop/target_gripper", 10)
    bench.ask("begin")
    ros.until(lambda: bench.labels, what="labels")
    bench.person.create_timer(0.05, lambda: wishes.publish(JointState(name=["gripper"], position=[1.0])))
    ros.until(lambda: bench.robot.grips, what="a goal of the gripper")
    ros.spin(0.2)
    assert bench.robot.grips == [0.85]


def test_a_command_of_another_ends_hand_guiding(ros: Ros, bench: Bench, contract: Contract) -> None:
    other = bench.person.create_publisher(JointTrajectory, contract.arm.topic, 10)
    bench.ask("begin")
    ros.until(lambda: bench.labels, what="labels")
    ros.until(lambda: other.get_subscription_count() >= 2, what="both listeners")
    point = JointTrajectoryPoint(positions=np.zeros(7).tolist())
    other.publish(JointTrajectory(joint_names=list(contract.arm.joints), points=[point]))
    ros.until(lambda: bench.node.returned, what="the end of hand guiding")
    assert bench.driver.calls[-2:] == [ModeCall("set_mode", 1), ModeCall("set_state", 0)]


def test_an_error_of_the_arm_ends_it_and_is_not_cleared(ros: Ros, bench: Bench) -> None:
    bench.ask("begin")
    ros.until(lambda: bench.labels, what="labels")
    ros.spin(0.6)
    bench.driver.reported(0, 31)
    assert bench.node.returned
    ros.spin(0.1)
    assert len(bench.driver.calls) == 3


def test_a_driver_without_its_services_is_named(ros: Ros, bench: Bench) -> None:
    bench.driver.absent = ["/xarm/set_mode"]
    answer = bench.ask("begin")
    assert not answer.success
    assert answer.message == "the arm's driver does not offer /xarm/set_mode"


def test_without_the_vendors_package_one_line_says_so(ros: Ros, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("xarm_msgs", "xarm_msgs.srv"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"needs the package xarm_msgs \(of xarm_ros2\)"):
        KinestheticTeleopNode()
