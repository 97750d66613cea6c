import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.contract import Contract
from dynamo_ros.core.commander import ArmCommand, Commander
from dynamo_ros.core.joint_jog import JogError, jog_velocities
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.teleoperation import JOG_NS, Teleoperation

MEASURED = np.array([0.0, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0])
PERIOD_NS = 20_000_000
SLOW = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])


def started(contract: Contract) -> Commander:
    commander = Commander(contract)
    commander.start(MEASURED, 0)
    return commander


def run(commander: Commander, velocity: np.ndarray, steps: int) -> list[ArmCommand]:
    """Jog at `velocity`, telling it in each step; the arm follows perfectly."""
    commands = []
    for i in range(1, steps + 1):
        commander.jog(velocity, 0.0, i * PERIOD_NS + JOG_NS)
        command = commander.step(i * PERIOD_NS)
        assert command is not None
        commander.observe(command.joints, i * PERIOD_NS)
        commands.append(command)
    return commands


def test_a_jog_moves_its_joint_alone_at_its_velocity(contract: Contract) -> None:
    commands = run(started(contract), SLOW, 20)
    np.testing.assert_allclose(commands[-1].joints[:6], MEASURED[:6], atol=1e-12)
    assert commands[-1].joints[6] - commands[-2].joints[6] == pytest.approx(0.5 * PERIOD_NS / 1e9)
    assert commands[-1].clipped == ()


def test_a_jog_ends_by_itself(contract: Contract) -> None:
    commander = started(contract)
    commander.jog(SLOW, 0.0, 3 * PERIOD_NS)
    commands = [commander.step(i * PERIOD_NS) for i in range(1, 30)]
    moved = [command.joints[6] for command in commands if command is not None]
    assert moved[-1] == moved[-2]
    assert 0.0 < moved[-1] < 0.5 * 0.1  # braking takes a moment


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-20.0, 20.0), min_size=7, max_size=7))
def test_no_jog_whatever_exceeds_the_limits(contract: Contract, velocity: list[float]) -> None:
    commands = run(started(contract), np.array(velocity), 40)
    assert audit(contract, [MEASURED] * 3 + [command.joints for command in commands]).violations == ()


def test_a_jog_out_of_the_workspace_holds_and_says_so(contract: Contract) -> None:
    lower = np.array([0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
    commands = run(started(contract), lower, 200)
    assert "workspace" in commands[-1].clipped
    np.testing.assert_allclose(commands[-1].joints, commands[-2].joints, atol=1e-3)


def test_a_jog_that_is_not_finite_stops(contract: Contract) -> None:
    commander = started(contract)
    commander.jog(SLOW * np.nan, 0.0, JOG_NS)
    assert commander.stopped is not None
    assert commander.stopped.kind == "non_finite"


def test_teleoperation_engages_with_a_jog_and_holds_in_silence(contract: Contract) -> None:
    teleop = Teleoperation(contract)
    teleop.observe(MEASURED, 0)
    teleop.jog(SLOW, 0)
    assert teleop.step(PERIOD_NS) is None  # nothing engages without a wish for the gripper
    teleop.wish(1.0)
    teleop.jog(SLOW, 2 * PERIOD_NS)
    for i in range(2, 30):
        command = teleop.step(i * PERIOD_NS)
        teleop.observe(MEASURED if command is None else command.joints, i * PERIOD_NS)
    assert teleop.engagement == "holding"
    assert command is not None
    assert command.target.gripper == 1.0
    assert 0.0 < command.joints[6] <= 0.5 * (JOG_NS / 1e9 + 0.1)


def test_velocities_are_picked_by_name() -> None:
    np.testing.assert_array_equal(jog_velocities(["a", "b", "c"], ["c", "a"], [1.0, 2.0]), [2.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("names", "velocities", "says"),
    [
        (["joint1"], [], "0 velocities; one for each name"),
        (["joint1", "joint1"], [1.0, 1.0], "one for each name"),
        (["joint9"], [1.0], "joint 'joint9' is unknown; did you mean"),
    ],
)
def test_a_jog_that_can_not_be_followed_is_refused(names: list, velocities: list, says: str) -> None:
    with pytest.raises(JogError, match=says):
        jog_velocities([f"joint{i}" for i in range(1, 8)], names, velocities)
