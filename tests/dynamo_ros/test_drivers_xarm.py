"""The xArm's drivers call by call, on a bus without ROS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("control_msgs")
pytest.importorskip("xarm_msgs")

from xarm_msgs.msg import RobotMsg

from dynamo_policies.contract import Contract, load_contract, parse_contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.steps import pose_way, tool_pose
from dynamo_ros.core.xarm_units import from_axis_angle, to_pulse, to_rpy
from dynamo_ros.drivers import ARM_DRIVERS, GRIPPER_DRIVERS
from dynamo_ros.drivers.arm import ArmDriver
from dynamo_ros.drivers.errors import MissingPackageError
from fakes.bus import FakeBus
from fakes.xarm_node import READY

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
START = np.array(READY)
MS = 1_000_000


def kitchen(kind: str, **changes: object) -> Contract:
    """Return the contract of a file called xarm7_`kind`, with other keys of the arm."""
    plain = load_contract(ROBOTS / f"xarm7_{kind}.yaml").to_dict()
    plain["arm"] |= changes
    return parse_contract(yaml.safe_dump(plain, sort_keys=False))


def command(contract: Contract, joints: np.ndarray, *clipped: str) -> ArmCommand:
    return ArmCommand(joints, Target(tool_pose(contract, joints), 0.0), None, clipped, np.empty((0, 7)))


class Bench:
    """A driver, the arm's reports, and time."""

    def __init__(self, contract: Contract) -> None:
        self.contract, self.bus, self.now_ns = contract, FakeBus(), 0
        self.driver: ArmDriver = ARM_DRIVERS[contract.arm.kind](self.bus, contract)
        self.pose = to_rpy(tool_pose(contract, START))
        self.mode = contract.gates.robot_state.modes[0]

    def report(self, mode: int, state: int, err: int = 0) -> None:
        self.bus.heard["/xarm/robot_states"](RobotMsg(mode=mode, state=state, err=err, pose=self.pose))

    def prepare(self) -> bool:
        """Go through the preparation; return whether the driver is ready."""
        self.driver.prepare(self.now_ns)
        self.report(0, 4)
        self.driver.observe(START)
        for _ in range(10):
            self.now_ns += MS
            self.driver.ready(self.now_ns)
        self.report(self.mode, 2)
        return self.driver.ready(self.now_ns)

    def requests(self, name: str) -> list[Any]:
        return self.bus.services[f"/xarm/{name}"].requests

    def send(self, joints: np.ndarray, *clipped: str) -> None:
        self.now_ns += self.contract.arm.period_ns
        self.driver.send(command(self.contract, joints, *clipped), self.now_ns)


def test_a_command_before_the_arm_is_ready_goes_nowhere() -> None:
    bench = Bench(kitchen("servo_j"))
    bench.send(START)
    bench.driver.prepare(0)
    bench.send(START)
    assert bench.requests("set_servo_angle_j") == []
    assert bench.prepare()
    bench.send(START)
    assert len(bench.requests("set_servo_angle_j")) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-1.0, 1.0), st.booleans()), min_size=1, max_size=40))
def test_no_servo_call_is_a_step_too_far_however_many_were_dropped(moves: list[tuple[float, bool]]) -> None:
    bench = Bench(kitchen("servo_j"))
    assert bench.prepare()
    service = bench.bus.services["/xarm/set_servo_angle_j"]
    service.prompt = False
    for offset, answered in moves:
        bench.send(START + offset)
        if answered and service.open:
            service.answer()
    steps = np.diff([START, *(np.array(request.angles) for request in service.requests)], axis=0)
    assert np.abs(steps).max() <= 0.02 + 1e-6


def test_cartesian_servo_calls_step_from_where_the_arm_itself_has_its_tool() -> None:
    bench = Bench(kitchen("ee_servo"))
    bench.pose[0] += 8.0  # calibrated kinematics put it 8 mm off ours
    assert bench.prepare()
    for _ in range(8):
        bench.send(START + 0.02)
    poses = [from_axis_angle(request.pose) for request in bench.requests("set_servo_cartesian_aa")]
    here = tool_pose(bench.contract, START)
    start = Pose(here.position + np.array([0.008, 0.0, 0.0]), here.quaternion)
    ways = [pose_way(a, b) for a, b in zip([start, *poses], poses, strict=False)]
    assert max(np.linalg.norm(way[:3]) for way in ways) <= 0.009 + 1e-6
    wanted = tool_pose(bench.contract, START + 0.02)
    np.testing.assert_allclose(poses[-1].position, wanted.position, atol=1e-6)


@pytest.mark.parametrize("kind", ["ee_online", "ee_servo", "ee_vel"])
def test_an_arm_with_another_tool_is_not_commanded_by_poses(kind: str) -> None:
    bench = Bench(kitchen(kind))
    bench.pose[2] += 172.0
    assert not bench.prepare()
    assert "it has its tool 172 mm and 0.00 rad from where the contract has it" in bench.driver.fault()
    assert "tool_offset_m 0.172" in bench.driver.fault()


def test_the_planner_gets_millimetres_and_the_contracts_speed() -> None:
    bench = Bench(kitchen("ee_online"))
    assert bench.prepare()
    bench.send(START)
    (request,) = bench.requests("set_position")
    assert list(request.pose) == pytest.approx(to_rpy(tool_pose(bench.contract, START)), rel=1e-5)
    assert (request.speed, request.acc, request.wait) == (150.0, 1000.0, False)


def test_velocities_lead_along_the_commands_and_end_with_zero() -> None:
    bench = Bench(kitchen("ee_vel", gain_hz=0.0))
    assert bench.prepare()
    joints = [START + 0.0005 * i for i in range(4)]
    for each in joints:
        bench.send(each)
    requests = bench.requests("vc_set_cartesian_velocity")
    assert list(requests[0].speeds) == [0.0] * 6
    tools = [tool_pose(bench.contract, each) for each in joints]
    expected = pose_way(tools[2], tools[3]) / 0.02
    np.testing.assert_allclose(requests[3].speeds, [*1000.0 * expected[:3], *expected[3:]], rtol=1e-4)
    assert all(request.duration == pytest.approx(0.2) for request in requests)
    bench.driver.release()
    assert list(requests[-1].speeds) == [0.0] * 6


def test_what_the_arm_is_off_its_command_is_made_good_within_the_limits() -> None:
    bench = Bench(kitchen("ee_vel"))
    assert bench.prepare()
    bench.driver.observe(START + 0.01)
    bench.send(START)
    bench.driver.observe(START + 1.0)
    bench.send(START)
    near, far = (np.array(request.speeds) for request in bench.requests("vc_set_cartesian_velocity"))
    way = pose_way(tool_pose(bench.contract, START + 0.01), tool_pose(bench.contract, START))
    np.testing.assert_allclose(near[:3] / 1000.0, 2.0 * way[:3], rtol=1e-4)
    assert np.linalg.norm(far[:3]) == pytest.approx(100.0)
    assert np.linalg.norm(far[3:]) == pytest.approx(0.5)


def test_services_that_the_user_has_to_enable_are_named() -> None:
    bench = Bench(kitchen("ee_servo"))
    bench.bus.services["/xarm/set_servo_cartesian_aa"].there = False
    assert not bench.prepare()
    assert bench.driver.fault() == ""
    assert not bench.driver.ready(3_000 * MS)
    assert "does not offer /xarm/set_servo_cartesian_aa; enable" in bench.driver.fault()
    assert bench.requests("motion_enable") == []


def test_lasting_refusals_are_a_fault() -> None:
    bench = Bench(kitchen("servo_j"))
    assert bench.prepare()
    bench.bus.services["/xarm/set_servo_angle_j"].code = 1
    for _ in range(40):
        bench.send(START)
    assert bench.driver.fault() == "/xarm/set_servo_angle_j returned 1 (an error is not cleared)"


@pytest.mark.parametrize(("stop", "calls"), [("hold", [0]), ("hold_and_disable", [0, 4])])
def test_a_latched_stop_disables_where_the_contract_says_so(stop: str, calls: list[int]) -> None:
    bench = Bench(kitchen("servo_j", stop=stop))
    assert bench.prepare()
    bench.driver.halt()
    assert [request.data for request in bench.requests("set_state")] == calls
    assert bench.driver.ready(bench.now_ns) == (stop == "hold")
    assert bench.prepare()


def test_a_fault_disables_too() -> None:
    bench = Bench(kitchen("ee_vel"))
    assert bench.prepare()
    bench.report(0, 4, err=31)
    assert "error 31 (collision" in bench.driver.fault()
    bench.driver.halt()
    assert [request.data for request in bench.requests("set_state")] == [0, 4]
    assert bench.requests("clean_error") == []


@pytest.mark.parametrize("end", ["halt", "release"])
@pytest.mark.parametrize(
    ("kind", "name"), [("servo_j", "set_servo_angle_j"), ("ee_vel", "vc_set_cartesian_velocity")]
)
def test_no_motion_that_waited_is_sent_after_the_end(kind: str, name: str, end: str) -> None:
    bench = Bench(kitchen(kind))
    assert bench.prepare()
    service = bench.bus.services[f"/xarm/{name}"]
    service.prompt = False
    for _ in range(3):
        bench.send(START + 0.01)
    bench.report(bench.mode, 4, err=31)  # the call in flight is not answered yet
    getattr(bench.driver, end)()
    service.answer()
    assert len(service.requests) == 1


def test_without_the_vendors_package_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("xarm_msgs", "xarm_msgs.srv"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        MissingPackageError, match=r"'servo_joint' needs the package xarm_msgs \(of xarm_ros2\)"
    ):
        Bench(kitchen("servo_j"))


def test_moveit_servo_without_its_package_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = kitchen("ee_vel").to_dict()
    for key in ("namespace", "failure_stop_s", "duration_s"):
        del plain["arm"][key]
    plain["arm"] |= {"kind": "servo_twist", "stop": "hold"}
    for name in ("moveit_msgs", "moveit_msgs.srv"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"'servo_twist' needs the package moveit_msgs \(of MoveIt"):
        Bench(parse_contract(yaml.safe_dump(plain, sort_keys=False)))


def test_the_gripper_is_enabled_once_and_then_sent_in_pulses(contract: Contract) -> None:
    plain = contract.to_dict()
    del plain["gripper"]["action"]
    plain["gripper"]["kind"] = "xarm_gripper_service"
    gripper, bus = parse_contract(yaml.safe_dump(plain, sort_keys=False)).gripper, FakeBus()
    assert gripper is not None
    driver = GRIPPER_DRIVERS[gripper.kind](bus, gripper)
    bus.services["/xarm/set_gripper_mode"].code = 1
    assert not driver.ready()
    assert driver.fault() == "/xarm/set_gripper_mode returned 1 (an error is not cleared)"
    bus.services["/xarm/set_gripper_mode"].code = 0
    assert [driver.ready() for _ in range(3)] == [False, False, True]
    driver.send(gripper.closed)
    driver.send(gripper.open)
    moves = bus.services["/xarm/set_gripper_position"].requests
    assert [(move.pos, move.wait) for move in moves] == [(to_pulse(0.85), False), (850.0, False)]
    assert len(bus.services["/xarm/set_gripper_enable"].requests) == 1
