"""Every kind of arm over DDS: teleoperation brings a fake arm from A to B; its death leaves the arm still."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("xarm_msgs")

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.steps import pose_way, tool_pose
from dynamo_ros.nodes.messages import now_ns, to_joint_state, to_pose_stamped
from dynamo_ros.nodes.teleop_node import TeleopNode
from fakes.servo_node import FakeServo
from fakes.xarm_node import READY, FakeXarm
from ideal_robot import PATIENCE_S
from ros_fixtures import Ros

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
FILES = ("xarm_kitchen", "xarm7_servo_j", "xarm7_ee_online", "xarm7_ee_servo", "xarm7_ee_vel")
SLOWER = ("xarm7_joint_vel", "xarm7_servo_twist", "xarm7_servo_jog", "xarm7_servo_jog unitless")


def contract_of(case: str) -> Contract:
    """Return the contract of a file, `unitless` one for a Servo that takes shares of its scales."""
    file, _, unitless = case.partition(" ")
    contract = load_contract(ROBOTS / f"{file}.yaml")
    if not unitless:
        return contract
    return dataclasses.replace(contract, arm=dataclasses.replace(contract.arm, command_in_type=unitless))


def patient(contract: Contract, path: Path) -> Path:
    """Write the contract with more patience for a busy computer, and return its path."""
    plain = contract.to_dict()
    plain["arm"] |= {"stale_stop_s": PATIENCE_S, "tracking_stop_s": PATIENCE_S}
    plain["streams"]["arm"]["max_age_ms"] = 1000.0
    if "failure_stop_s" in plain["arm"]:
        plain["arm"]["failure_stop_s"] = PATIENCE_S
    path.write_text(yaml.safe_dump(plain, sort_keys=False))
    return path


class Device:
    """Publishes one target at 50 Hz."""

    def __init__(self, node: Node) -> None:
        self._node, self.target, self.gripper = node, None, 0.0
        self._pose = node.create_publisher(PoseStamped, "/teleop/target_pose", 10)
        self._wish = node.create_publisher(JointState, "/teleop/target_gripper", 10)
        node.create_timer(0.02, self._publish)

    def _publish(self) -> None:
        if self.target is not None:
            stamp_ns = now_ns(self._node.get_clock())
            self._wish.publish(to_joint_state(["gripper"], [self.gripper], stamp_ns=stamp_ns))
            self._pose.publish(to_pose_stamped(self.target, stamp_ns=stamp_ns, frame="link_base"))


class Bench:
    """A fake arm, teleoperation by `contract`, and somebody who asks for poses."""

    def __init__(self, ros: Ros, contract: Contract, path: Path) -> None:
        self.ros, self.contract = ros, contract
        self.arm = FakeXarm(ros.node("ufactory_driver"), contract)
        if contract.arm.kind.startswith("servo_") and contract.arm.kind != "servo_joint":
            unitless = getattr(contract.arm, "command_in_type", "") == "unitless"
            self.servo = FakeServo(ros.node("servo"), contract, self.arm, unitless=unitless)
        self.device = Device(ros.node("device"))
        overrides = [Parameter("contract", value=str(patient(contract, path)))]
        self.teleop = ros.add(TeleopNode(overrides))
        self.start = tool_pose(contract, READY)

    @property
    def place(self) -> Pose:
        return tool_pose(self.contract, self.arm.controller.joints)

    def off(self, target: Pose) -> tuple[float, float]:
        """Return how far the arm is from `target`, m and rad."""
        way = pose_way(self.place, target)
        return float(np.linalg.norm(way[:3])), float(np.linalg.norm(way[3:]))

    def moved(self) -> float:
        """Return how far the arm is from where it started, m."""
        return self.off(self.start)[0]

    def still(self) -> bool:
        """Return whether the arm is where it was a moment ago, of its own time."""
        before = self.arm.controller.joints.copy()
        self.arm.live(self.ros, steps=30)
        return bool(np.abs(self.arm.controller.joints - before).max() < 1e-6)


@pytest.fixture(params=[*FILES, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOWER)])
def bench(ros: Ros, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if "servo_" in request.param and request.param in SLOWER:
        pytest.importorskip("moveit_msgs")
    return Bench(ros, contract_of(request.param), tmp_path / "contract.yaml")


def target_near(start: Pose) -> Pose:
    """A target 4 cm away and turned by 0.2 rad."""
    turn = Rotation.from_rotvec([0.0, 0.12, 0.16])
    position = start.position + np.array([0.02, 0.03, 0.02])
    return Pose(position, (turn * Rotation.from_quat(start.quaternion)).as_quat())


def test_the_arm_goes_to_the_target_and_nobody_else_moves_it(ros: Ros, bench: Bench) -> None:
    target = target_near(bench.start)
    ros.spin(0.3)
    assert bench.moved() == 0.0
    bench.device.target = target
    ros.until(lambda: max(bench.off(target)) < 4e-3, what=f"the target, {bench.off(target)}")
    ros.spin(0.5)
    assert max(bench.off(target)) < 8e-3
    assert bench.arm.controller.error == 0


def test_the_death_of_the_commander_leaves_the_arm_still(ros: Ros, bench: Bench) -> None:
    bench.device.target = target_near(bench.start)
    ros.until(lambda: bench.moved() > 0.01, what="the arm to move")
    ros.executor.remove_node(bench.teleop)  # as good as killed: it says and hears nothing more
    ros.until(bench.still, what="the arm to stand still")


def test_a_stop_brakes_and_lasts_until_rearmed(ros: Ros, bench: Bench) -> None:
    target = target_near(bench.start)
    bench.device.target = target
    ros.until(lambda: bench.moved() > 0.01, what="the arm to move")
    person = ros.node("person")
    assert ros.call(person, Trigger, "/teleop_node/stop", Trigger.Request()).success
    ros.until(bench.still, what="the arm to stand still")
    if bench.contract.arm.stop == "hold_and_disable":
        ros.until(lambda: bench.arm.controller.state == 4, what="the driver to be told")
    where = bench.moved()
    ros.spin(0.3)
    assert bench.moved() == pytest.approx(where, abs=1e-6)
    assert ros.call(person, Trigger, "/teleop_node/rearm", Trigger.Request()).success
    ros.until(lambda: max(bench.off(target)) < 4e-3, what="the target after all")


def test_no_velocity_goes_on_in_an_arm_that_is_let_go(ros: Ros, tmp_path: Path) -> None:
    bench = Bench(ros, contract_of("xarm7_ee_vel"), tmp_path / "contract.yaml")
    bench.device.target = target_near(bench.start)
    ros.until(lambda: bench.moved() > 0.01, what="the arm to move")
    bench.device.target = None
    bench.arm.live(ros, steps=5)  # the last target arrives
    bench.arm.controller.place(bench.arm.controller.joints + np.eye(7)[0] * 2.0)
    ros.until(lambda: bench.teleop._teleoperation.engagement == "idle", what="the arm to be let go")
    ros.until(
        lambda: not any(bench.arm.named("vc_set_cartesian_velocity")[-1].speeds), what="the velocity's end"
    )


def test_an_error_of_the_arm_disables_it_and_is_not_cleared(ros: Ros, tmp_path: Path) -> None:
    bench = Bench(ros, contract_of("xarm7_servo_j"), tmp_path / "contract.yaml")
    bench.device.target = target_near(bench.start)
    ros.until(lambda: bench.moved() > 0.01, what="the arm to move")
    bench.arm.controller.fail(22)
    ros.until(lambda: [r.data for r in bench.arm.named("set_state")] == [0, 4], what="the arm to be disabled")
    person = ros.node("person")
    assert ros.call(person, Trigger, "/teleop_node/rearm", Trigger.Request()).success
    ros.spin(0.5)
    assert bench.arm.named("clean_error") == []
    assert bench.arm.controller.error == 22


@pytest.mark.slow
def test_kill_9_in_mid_motion_leaves_an_arm_with_velocities_still(ros: Ros, tmp_path: Path) -> None:
    contract = contract_of("xarm7_ee_vel")
    bench = Bench(ros, contract, tmp_path / "contract.yaml")
    ros.executor.remove_node(bench.teleop)
    code = "import sys; from dynamo_ros.nodes.teleop_node import main; sys.exit(main())"
    words = ["--ros-args", "-p", f"contract:={tmp_path / 'contract.yaml'}"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, "-c", code, *words], env=environ)
    try:
        # The test's own teleoperation has a client as well.
        service = "/xarm/vc_set_cartesian_velocity"
        ros.until(lambda: bench.arm.node.count_clients(service) == 2, timeout_s=240.0, what="the process")
        bench.device.target = target_near(bench.start)
        ros.until(lambda: bench.moved() > 0.01, timeout_s=240.0, what="the arm to move")
        process.send_signal(signal.SIGKILL)
        ros.until(bench.still, what="the arm to stand still")
    finally:
        process.kill()
        process.wait(timeout=60.0)
