import numpy as np
import pytest

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.commander import ArmCommand, Commander
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.teleoperation import Teleoperation

MEASURED = np.array([0.0, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0])
PERIOD_NS = 20_000_000


@pytest.fixture(scope="module")
def pose(contract: Contract) -> Pose:
    return Commander(contract).forward(MEASURED)


def shifted(pose: Pose, *, z: float) -> Pose:
    return Pose(pose.position + np.array([0.0, 0.0, z]), pose.quaternion)


def drive(teleop: Teleoperation, target: Pose | None, start: int, steps: int) -> list[ArmCommand | None]:
    """Give one target and one measured reading a period; the arm follows perfectly."""
    commands: list[ArmCommand | None] = []
    for i in range(start, start + steps):
        now_ns = i * PERIOD_NS
        last = next((c for c in reversed(commands) if c is not None), None)
        if last is not None:
            teleop.observe(last.joints, now_ns)
        if target is not None:
            teleop.aim(target, now_ns)
        commands.append(teleop.step(now_ns))
    return commands


def engaged(contract: Contract) -> Teleoperation:
    teleop = Teleoperation(contract)
    teleop.observe(MEASURED, 0)
    teleop.wish(0.0)
    return teleop


def test_nothing_is_commanded_before_the_first_target(contract: Contract) -> None:
    assert drive(engaged(contract), None, 1, 5) == [None] * 5


def test_nothing_engages_without_a_wish_for_the_gripper(contract: Contract, pose: Pose) -> None:
    teleop = Teleoperation(contract)
    teleop.observe(MEASURED, 0)
    assert not teleop.lacks_gripper(5 * PERIOD_NS)
    assert drive(teleop, pose, 1, 5) == [None] * 5
    assert teleop.lacks_gripper(5 * PERIOD_NS)
    assert not teleop.lacks_gripper(100 * PERIOD_NS)
    teleop.wish(0.0)
    assert not teleop.lacks_gripper(5 * PERIOD_NS)


def test_the_first_command_is_near_the_measured_joints_however_far_the_target(
    contract: Contract, pose: Pose
) -> None:
    first = drive(engaged(contract), shifted(pose, z=0.2), 1, 2)[-1]
    assert first is not None
    assert np.abs(first.joints - MEASURED).max() <= 2.0 * 0.02 + 1e-9


def test_targets_are_followed(contract: Contract, pose: Pose) -> None:
    target = shifted(pose, z=0.03)
    last = drive(engaged(contract), target, 1, 50)[-1]
    assert last is not None
    np.testing.assert_allclose(last.target.pose.position, target.position, atol=2e-3)


def test_the_arm_holds_when_targets_stop(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    drive(teleop, shifted(pose, z=0.2), 1, 10)
    silent = drive(teleop, None, 11, 40)
    assert teleop.engagement == "holding"
    first, last = silent[30], silent[-1]
    assert first is not None
    assert last is not None
    np.testing.assert_allclose(last.target.pose.position, first.target.pose.position, atol=1e-4)


def test_after_a_hold_the_next_target_goes_on_without_a_jump(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    drive(teleop, shifted(pose, z=0.1), 1, 20)
    held = drive(teleop, None, 21, 30)[-1]
    again = drive(teleop, shifted(pose, z=-0.1), 51, 1)[-1]
    assert teleop.engagement == "engaged"
    assert held is not None
    assert again is not None
    np.testing.assert_allclose(again.joints, held.joints, atol=250.0 * 0.02**3)


def test_an_arm_that_was_put_elsewhere_is_let_go(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    drive(teleop, pose, 1, 10)
    teleop.observe(MEASURED + 0.4, 11 * PERIOD_NS)
    assert teleop.engagement == "idle"
    assert drive(teleop, None, 12, 3) == [None] * 3


def test_an_end_in_mid_motion_brakes(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    moving = drive(teleop, shifted(pose, z=0.2), 1, 15)
    last = teleop.finish()
    joints = [MEASURED] * 3 + [command.joints for command in (*moving, *last) if command is not None]
    assert audit(contract, joints).violations == ()
    np.testing.assert_allclose(joints[-1], joints[-2], atol=1e-9)
    assert teleop.engagement == "idle"
    assert drive(teleop, None, 16, 3) == [None] * 3


def test_a_clock_that_runs_backwards_lets_go(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    drive(teleop, pose, 100, 10)
    teleop.observe(MEASURED, 5 * PERIOD_NS)
    assert teleop.engagement == "idle"


@pytest.mark.parametrize(
    ("back", "engagement", "silent"), [(3, "engaged", 0), (100, "idle", 40), (100, "idle", 0)]
)
def test_a_reading_from_before_neither_jolts_the_arm_nor_leaves_it_at_speed(
    contract: Contract, pose: Pose, back: int, engagement: str, silent: int
) -> None:
    teleop = engaged(contract)
    moving = drive(teleop, shifted(pose, z=0.2), 200, 15)
    joints = [MEASURED] * 3 + [command.joints for command in moving if command is not None]
    teleop.observe(joints[-1], (215 - back) * PERIOD_NS)
    assert teleop.engagement == engagement
    following = drive(teleop, None, 215, silent)
    following += drive(teleop, shifted(pose, z=0.2), 215 + silent, 20)
    joints += [command.joints for command in following if command is not None]
    assert following[-1] is not None
    assert audit(contract, joints).violations == ()


def test_a_stop_lasts_until_it_is_rearmed(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    drive(teleop, pose, 1, 5)
    teleop.stop("the operator said so")
    assert drive(teleop, pose, 7, 30)[-5:] == [None] * 5
    assert teleop.stopped is not None
    teleop.rearm()
    assert drive(teleop, pose, 40, 2)[-1] is not None


def test_rearming_in_mid_motion_leaves_nothing_of_the_motion(contract: Contract, pose: Pose) -> None:
    teleop = engaged(contract)
    drive(teleop, shifted(pose, z=0.2), 1, 20)
    teleop.rearm()  # before the first reading after a station's reset
    elsewhere = MEASURED + np.array([0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    for i in range(21, 25):
        teleop.observe(elsewhere, i * PERIOD_NS)
        assert teleop.step(i * PERIOD_NS) is None
    here = Commander(contract).forward(elsewhere)
    for i in range(25, 30):
        teleop.observe(elsewhere, i * PERIOD_NS)
        teleop.aim(here, i * PERIOD_NS)
        command = teleop.step(i * PERIOD_NS)
    assert teleop.stopped is None
    assert command is not None
    np.testing.assert_allclose(command.joints, elsewhere, atol=0.05)
