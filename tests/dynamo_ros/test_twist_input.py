import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.jogging import LEASH_M, LEASH_RAD
from dynamo_ros.core.teleoperation import Teleoperation
from dynamo_ros.core.twist_input import LASTS_NS, TwistError, TwistInput

MEASURED = np.array([0.0, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0])
PERIOD_NS = 20_000_000
DOWN = Pose(np.array([0.4, 0.0, 0.2]), Rotation.from_euler("xyz", [np.pi, 0.0, 0.3]).as_quat())


@pytest.fixture
def twists(contract: Contract) -> TwistInput:
    return TwistInput(contract, tool_frame="tool")


def follow(twists: TwistInput, linear: list[float], angular: list[float], frame: str, steps: int) -> Pose:
    """Tell a twist in each step; the tool follows perfectly."""
    pose = DOWN
    for i in range(steps):
        twists.take(linear, angular, frame, i * PERIOD_NS)
        target = twists.step(pose, i * PERIOD_NS)
        assert target is not None
        pose = target
    return pose


def test_a_twist_moves_along_the_axes_of_the_base(twists: TwistInput) -> None:
    pose = follow(twists, [0.1, 0.0, -0.05], [0.0, 0.0, 0.4], "link_base", 11)
    np.testing.assert_allclose(pose.position - DOWN.position, [0.02, 0.0, -0.01], atol=1e-9)
    turn = Rotation.from_quat(pose.quaternion) * Rotation.from_quat(DOWN.quaternion).inv()
    np.testing.assert_allclose(turn.as_rotvec(), [0.0, 0.0, 0.08], atol=1e-9)


def test_a_twist_in_the_tools_frame_moves_along_the_tools_axes(twists: TwistInput) -> None:
    pose = follow(twists, [0.0, 0.0, 0.1], [0.0, 0.0, 0.4], "tool", 11)
    np.testing.assert_allclose(pose.position - DOWN.position, [0.0, 0.0, -0.02], atol=1e-9)
    turn = Rotation.from_quat(DOWN.quaternion).inv() * Rotation.from_quat(pose.quaternion)
    np.testing.assert_allclose(turn.as_rotvec(), [0.0, 0.0, 0.08], atol=1e-9)


def test_a_tenth_of_a_second_after_the_last_twist_there_is_no_target(twists: TwistInput) -> None:
    twists.take([0.1, 0.0, 0.0], [0.0] * 3, "link_base", 0)
    assert twists.step(DOWN, LASTS_NS) is not None
    assert twists.step(DOWN, LASTS_NS + 1) is None
    elsewhere = Pose(DOWN.position + 0.05, DOWN.quaternion)
    twists.take([0.1, 0.0, 0.0], [0.0] * 3, "link_base", 10 * LASTS_NS)
    target = twists.step(elsewhere, 10 * LASTS_NS)
    assert target is not None
    np.testing.assert_array_equal(target.position, elsewhere.position)  # where the tool is by now


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6),
    st.lists(st.integers(0, 90_000_000), min_size=1, max_size=60),
)
def test_no_twist_is_faster_than_the_contract_or_runs_away_from_the_tool(
    contract: Contract, values: list[float], steps_ns: list[int]
) -> None:
    twists, now_ns, last = TwistInput(contract, tool_frame="tool"), 0, DOWN
    for step_ns in steps_ns:  # the tool stands still: a limit of its own
        now_ns += step_ns
        twists.take(values[:3], values[3:], "tool", now_ns)
        target = twists.step(DOWN, now_ns)
        assert target is not None
        moved = np.linalg.norm(target.position - last.position)
        assert moved <= contract.arm.speed_m_s * step_ns / 1e9 + 1e-9
        turned = (
            Rotation.from_quat(last.quaternion).inv() * Rotation.from_quat(target.quaternion)
        ).magnitude()
        assert turned <= contract.arm.turn_rad_s * step_ns / 1e9 + 1e-6
        assert np.linalg.norm(target.position - DOWN.position) <= LEASH_M + 1e-9
        away = Rotation.from_quat(DOWN.quaternion).inv() * Rotation.from_quat(target.quaternion)
        assert away.magnitude() <= LEASH_RAD + 1e-6
        last = target


@pytest.mark.parametrize(
    ("linear", "frame", "says"),
    [
        ([0.1, 0.0, 0.0], "camera", "in frame 'camera'; possible: 'link_base' or 'tool'"),
        ([0.1, 0.0, 0.0], "", "in frame ''"),
        ([np.nan, 0.0, 0.0], "tool", "is not finite"),
    ],
)
def test_a_twist_that_can_not_be_followed_is_refused(
    twists: TwistInput, linear: list[float], frame: str, says: str
) -> None:
    with pytest.raises(TwistError, match=says):
        twists.take(linear, [0.0] * 3, frame, 0)
    assert not twists.holds(0)


def test_teleoperation_follows_twists_and_holds_without(contract: Contract, twists: TwistInput) -> None:
    teleop = Teleoperation(contract)
    assert teleop.measured_pose is None
    teleop.observe(MEASURED, 0)
    teleop.wish(0.0)
    start = Commander(contract).forward(MEASURED).position
    heights = []
    for i in range(1, 120):
        now_ns = i * PERIOD_NS
        if i < 50:
            twists.take([0.0, 0.0, 0.05], [0.0] * 3, "link_base", now_ns)
        measured = teleop.measured_pose
        assert measured is not None
        target = twists.step(measured, now_ns)
        if target is not None:
            teleop.aim(target, now_ns)
        command = teleop.step(now_ns)
        assert command is not None
        teleop.observe(command.joints, now_ns)
        heights.append(command.target.pose.position[2] - start[2])
    assert teleop.engagement == "holding"
    assert heights[-1] == pytest.approx(0.05, abs=0.01)
    assert max(heights) - heights[-1] < 2e-3
