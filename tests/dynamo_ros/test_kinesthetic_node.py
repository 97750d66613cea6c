"""Kinesthetic teaching over DDS, on a fake arm that a test leads."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("xarm_msgs")

from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from dynamo_policies.contract import Contract
from dynamo_ros.core.steps import tool_pose
from dynamo_ros.drivers.errors import MissingPackageError
from dynamo_ros.nodes.kinesthetic_teleop_node import KinestheticTeleopNode
from fakes.xarm_node import TRAJECTORY_TOPIC, FakeXarm
from ideal_robot import write_patient
from ros_fixtures import Ros

LED = [0.1, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0]
ENTERING = [("motion_enable", 1), ("set_mode", 2), ("set_state", 0)]
LEAVING = [("set_mode", 1), ("set_state", 0)]


class Bench:
    """An arm, the node, and what is published as commanded."""

    def __init__(self, ros: Ros, contract: Contract, folder: Path, absent: tuple[str, ...] = ()) -> None:
        self.ros = ros
        self.arm = FakeXarm(ros.node("ufactory_driver"), contract, absent=absent)
        self.person = ros.node("person")
        self.labels: list[PoseStamped] = []
        self.person.create_subscription(PoseStamped, "/dynamo/target_pose", self.labels.append, 10)
        path = folder / "patient.yaml"
        write_patient(contract, path)
        self.node = ros.add(KinestheticTeleopNode([Parameter("contract", value=str(path))]))

    @property
    def calls(self) -> list[tuple[str, int]]:
        return [(name, request.data) for name, request in self.arm.calls]

    def ask(self, name: str) -> Trigger.Response:
        service = f"/kinesthetic_teleop_node/{name}"
        return self.ros.call(self.person, Trigger, service, Trigger.Request())

    def begin(self) -> None:
        """Begin, once the driver is found, and wait for labels."""
        self.ros.until(lambda: self.ask("begin").success, what="the driver's services")
        self.ros.until(lambda: len(self.labels) > 5, what="labels")


@pytest.fixture
def bench(ros: Ros, contract: Contract, tmp_path: Path) -> Bench:
    return Bench(ros, contract, tmp_path)


def test_a_led_arm_is_labelled_and_not_commanded(ros: Ros, bench: Bench, contract: Contract) -> None:
    ros.spin(0.2)
    assert bench.labels == []
    bench.begin()
    assert bench.arm.controller.mode == 2
    bench.arm.controller.place(LED)
    led = tool_pose(contract, LED).position
    ros.until(lambda: abs(bench.labels[-1].pose.position.y - led[1]) < 1e-4, what="the led pose as label")
    assert bench.arm.trajectories == 0
    assert bench.calls == ENTERING
    assert bench.ask("end").success
    ros.until(lambda: bench.node.returned, what="the end of hand guiding")
    assert bench.calls[3:] == LEAVING

    def silent() -> bool:
        count = len(bench.labels)
        bench.arm.live(ros, steps=30)
        return len(bench.labels) == count

    ros.until(silent, what="the end of labels")


def test_the_gripper_follows_its_wishes(ros: Ros, bench: Bench) -> None:
    wishes = bench.person.create_publisher(JointState, "/teleop/target_gripper", 10)
    bench.begin()
    bench.person.create_timer(0.05, lambda: wishes.publish(JointState(name=["gripper"], position=[1.0])))
    ros.until(lambda: bench.arm.goals, what="a goal of the gripper")
    ros.spin(0.2)
    assert bench.arm.goals == [0.85]


def test_a_command_of_another_ends_hand_guiding(ros: Ros, bench: Bench, contract: Contract) -> None:
    other = bench.person.create_publisher(JointTrajectory, TRAJECTORY_TOPIC, 10)
    bench.begin()
    ros.until(lambda: other.get_subscription_count() >= 2, what="both listeners")
    point = JointTrajectoryPoint(positions=np.zeros(7).tolist())
    other.publish(JointTrajectory(joint_names=list(contract.arm.joints), points=[point]))
    ros.until(lambda: bench.node.returned, what="the end of hand guiding")
    assert bench.calls[-2:] == LEAVING


def test_an_error_of_the_arm_ends_it_and_is_not_cleared(ros: Ros, bench: Bench) -> None:
    bench.begin()
    bench.arm.controller.fail(31)
    ros.until(lambda: bench.node.returned, what="the end of hand guiding")
    ros.spin(0.1)
    answer = bench.ask("end")
    assert not answer.success
    assert "hand guiding: failed, the arm reports error 31" in answer.message
    ros.spin(0.1)
    assert bench.calls == ENTERING


def test_a_driver_without_its_services_is_named(ros: Ros, contract: Contract, tmp_path: Path) -> None:
    bench = Bench(ros, contract, tmp_path, absent=("set_mode",))
    ros.until(lambda: "/xarm/set_state" not in bench.ask("begin").message, what="the other services")
    answer = bench.ask("begin")
    assert not answer.success
    assert answer.message == "the arm's driver does not offer /xarm/set_mode"


def test_without_the_vendors_package_one_line_says_so(ros: Ros, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("xarm_msgs", "xarm_msgs.srv"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"needs the package xarm_msgs \(of xarm_ros2\)"):
        KinestheticTeleopNode()
