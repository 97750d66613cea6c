import numpy as np
import pytest

from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.jogging import LEASH_M
from dynamo_ros.core.keyboard_mapping import FASTEST, GRIPPER_REPEAT_S, MOTIONS, SLOWEST, KeyboardMapping

MEASURED = Pose(np.array([0.4, 0.1, 0.3]), np.array([0.0, 0.0, 0.0, 1.0]))
STEP_NS = 20_000_000
SPEED = 0.2


def keyboard() -> KeyboardMapping:
    return KeyboardMapping(speed_m_s=SPEED, turn_rad_s=1.0)


def hold(keys: KeyboardMapping, key: str, first: int, steps: int, **known: bool) -> list[Target | None]:
    """Repeat `key` every second step, as terminals do, and return the target of each step."""
    targets = []
    for i in range(first, first + steps):
        if i % 2 == 0:
            keys.key(key, i * STEP_NS)
        targets.append(keys.step(MEASURED, i * STEP_NS, **known))
    return targets


def test_without_a_key_there_is_no_target() -> None:
    assert keyboard().step(MEASURED, STEP_NS) is None


def test_the_first_target_is_the_measured_pose() -> None:
    first = hold(keyboard(), "w", 0, 1)[0]
    assert first is not None
    np.testing.assert_array_equal(first.pose.position, MEASURED.position)


@pytest.mark.parametrize(("key", "motion"), MOTIONS.items())
def test_a_held_key_moves_its_axis_at_the_speed(key: str, motion: tuple[int, float]) -> None:
    axis, sign = motion
    last = hold(keyboard(), key, 0, 11)[-1]
    assert last is not None
    turn = 2 * last.pose.quaternion[:3] / last.pose.quaternion[3]  # of a small angle, within 0.2 %
    moved = np.concatenate([last.pose.position - MEASURED.position, turn])
    expected = np.zeros(6)
    expected[axis] = sign * (SPEED if axis < 3 else 1.0) * 10 * 0.02
    np.testing.assert_allclose(moved, expected, atol=2e-3)


def test_a_released_key_moves_no_farther_than_the_silence_and_then_there_is_no_target() -> None:
    keys = keyboard()
    keys.key("w", 0)
    targets = [keys.step(MEASURED, i * STEP_NS) for i in range(20)]
    reached = [target.pose.position[0] for target in targets if target is not None]
    assert max(reached) <= MEASURED.position[0] + SPEED * 0.2 + 1e-9
    assert len(reached) == 11
    assert targets[-1] is None


def test_a_target_does_not_run_away_from_an_arm_that_can_not_follow() -> None:
    last = hold(keyboard(), "w", 0, 100)[-1]
    assert last is not None
    np.testing.assert_allclose(last.pose.position, MEASURED.position + np.array([LEASH_M, 0.0, 0.0]))


def test_two_keys_at_a_time_move_both_axes() -> None:
    keys = keyboard()
    keys.key("w", 0)
    keys.key("a", 0)
    keys.step(MEASURED, 0)
    target = keys.step(MEASURED, 5 * STEP_NS)
    assert target is not None
    np.testing.assert_allclose(target.pose.position - MEASURED.position, [0.02, 0.02, 0.0])


def test_a_held_space_toggles_the_gripper_once_and_it_stays_so_after_a_pause() -> None:
    keys = keyboard()
    assert {target.gripper for target in hold(keys, " ", 0, 60) if target is not None} == {1.0}
    assert keys.step(MEASURED, 100 * STEP_NS) is None
    # A gripper that holds something reads as half open: what was told counts, not what is measured.
    again = hold(keys, "w", 102, 1, gripper_closed=False)[0]
    assert again is not None
    assert again.gripper == 1.0


def test_a_later_space_toggles_back() -> None:
    keys = keyboard()
    hold(keys, " ", 0, 1)
    later = 2 * round(GRIPPER_REPEAT_S * 1e9 / STEP_NS)
    opened = hold(keys, " ", later, 1)[0]
    assert opened is not None
    assert opened.gripper == 0.0


def test_before_the_first_space_the_gripper_stays_as_it_is() -> None:
    target = hold(keyboard(), "w", 0, 1, gripper_closed=True)[0]
    assert target is not None
    assert target.gripper == 1.0


def test_the_scale_changes_the_speed_within_bounds() -> None:
    keys = keyboard()
    for _ in range(50):
        keys.key("+", 0)
    assert keys.scale == FASTEST
    for _ in range(50):
        keys.key("-", 0)
    assert keys.scale == SLOWEST
    last = hold(keys, "w", 0, 11)[-1]
    assert last is not None
    assert last.pose.position[0] - MEASURED.position[0] == pytest.approx(SLOWEST * SPEED * 0.2)


def test_keys_without_a_meaning_are_no_deadman() -> None:
    assert hold(keyboard(), "?", 0, 4) == [None] * 4


def test_a_clock_that_runs_backwards_releases() -> None:
    keys = keyboard()
    keys.key("w", 100 * STEP_NS)
    assert keys.step(MEASURED, STEP_NS) is None
