import numpy as np
import pytest

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose
from dynamo_ros.core.jogging import LEASH_M, LEASH_RAD
from dynamo_ros.core.joy_mapping import LAYOUTS, JoyMapping, layout

MEASURED = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
STEP_NS = 20_000_000


def press(name: str, *, gripper: bool = False, deadman: bool = True) -> list[int]:
    buttons = [0] * 15
    buttons[LAYOUTS[name].deadman] = int(deadman)
    buttons[LAYOUTS[name].gripper] = int(gripper)
    return buttons


def mapping(name: str) -> JoyMapping:
    return JoyMapping(layout(name), speed_m_s=0.2, turn_rad_s=1.0)


def test_without_the_deadman_there_is_no_target() -> None:
    joy = mapping("gamepad")
    joy.joy([1.0] * 6, press("gamepad", deadman=False), 0)
    assert joy.step(MEASURED, STEP_NS) is None


def test_pressing_the_deadman_starts_at_the_measured_pose() -> None:
    joy = mapping("gamepad")
    joy.joy([1.0] * 6, press("gamepad"), 0)
    target = joy.step(MEASURED, 0)
    assert target is not None
    np.testing.assert_array_equal(target.pose.position, MEASURED.position)
    np.testing.assert_allclose(target.pose.quaternion, MEASURED.quaternion)


def test_full_deflection_moves_at_the_scale_and_releasing_starts_afresh() -> None:
    joy = mapping("gamepad")
    for i in range(11):
        joy.joy([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], press("gamepad"), i * STEP_NS)
        target = joy.step(MEASURED, i * STEP_NS)
    assert target is not None
    np.testing.assert_allclose(target.pose.position, [0.4 + 0.2 * 10 * 0.02, 0.1, 0.3])
    joy.joy([0.0] * 6, press("gamepad", deadman=False), 11 * STEP_NS)
    assert joy.step(MEASURED, 11 * STEP_NS) is None
    joy.joy([0.0] * 6, press("gamepad"), 12 * STEP_NS)
    again = joy.step(MEASURED, 12 * STEP_NS)
    assert again is not None
    np.testing.assert_array_equal(again.pose.position, MEASURED.position)


def test_a_target_does_not_run_away_from_an_arm_that_can_not_follow() -> None:
    joy = mapping("gamepad")
    for i in range(200):
        joy.joy([0.0, 1.0, 0.0, 1.0, 0.0, 0.0], press("gamepad"), i * STEP_NS)
        target = joy.step(MEASURED, i * STEP_NS)
    assert target is not None
    np.testing.assert_allclose(target.pose.position, MEASURED.position + np.array([LEASH_M, 0.0, 0.0]))
    assert 2 * np.arccos(abs(target.pose.quaternion @ MEASURED.quaternion)) == pytest.approx(LEASH_RAD)


def test_a_clock_that_is_set_back_moves_nothing_and_releases_a_gamepad() -> None:
    for name, target_expected in (("gamepad", False), ("spacemouse", True)):
        joy = mapping(name)
        joy.joy([1.0] * 6, press(name), 100 * STEP_NS)
        joy.step(MEASURED, 100 * STEP_NS)
        target = joy.step(MEASURED, STEP_NS)
        assert (target is not None) == target_expected
        if target is not None:
            np.testing.assert_array_equal(target.pose.position, MEASURED.position)


def test_the_spacemouse_turns_about_the_base_axes() -> None:
    joy = mapping("spacemouse")
    for i in range(2):
        joy.joy([0.0, 0.0, 0.0, 0.0, 0.0, 1.0], press("spacemouse"), i * 100_000_000)
        target = joy.step(Pose(MEASURED.position, np.array([0.0, 0.0, 0.0, 1.0])), i * 100_000_000)
    assert target is not None
    np.testing.assert_allclose(target.pose.quaternion, [0.0, 0.0, np.sin(0.05), np.cos(0.05)], atol=1e-9)


def test_a_stick_that_does_not_quite_centre_does_not_drift() -> None:
    joy = mapping("gamepad")
    for i in range(50):
        joy.joy([0.04] * 4 + [0.0, 0.0], press("gamepad"), i * STEP_NS)
        target = joy.step(MEASURED, i * STEP_NS)
    assert target is not None
    np.testing.assert_array_equal(target.pose.position, MEASURED.position)


def test_the_gripper_button_toggles_on_the_press_only() -> None:
    joy = mapping("gamepad")
    grippers = []
    for i, pressed in enumerate([False, True, True, False, True]):
        joy.joy([0.0] * 6, press("gamepad", gripper=pressed), i * STEP_NS)
        target = joy.step(MEASURED, i * STEP_NS)
        assert target is not None
        grippers.append(target.gripper)
    assert grippers == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_the_gripper_begins_as_it_is() -> None:
    joy = mapping("gamepad")
    joy.joy([0.0] * 6, press("gamepad"), 0)
    target = joy.step(MEASURED, 0, gripper_closed=True)
    assert target is not None
    assert target.gripper == 1.0


def test_the_gripper_stays_as_told_when_the_deadman_is_pressed_again() -> None:
    joy = mapping("gamepad")
    targets = []
    for gripper, deadman in ((False, True), (True, True), (False, False), (False, True)):
        joy.joy([0.0] * 6, press("gamepad", gripper=gripper, deadman=deadman), 0)
        # Around something wide it reads as open.
        targets.append(joy.step(MEASURED, 0, gripper_closed=False))
    assert [None if target is None else target.gripper for target in targets] == [0.0, 1.0, None, 1.0]


def test_a_gamepad_that_falls_silent_counts_as_released() -> None:
    joy = mapping("gamepad")
    joy.joy([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], press("gamepad"), 0)
    assert joy.step(MEASURED, 0) is not None
    assert joy.step(MEASURED, 300_000_000) is None


def test_a_silent_spacemouse_stands_still_but_stays_held() -> None:
    joy = mapping("spacemouse")
    joy.joy([1.0] * 6, press("spacemouse"), 0)
    joy.step(MEASURED, 0)
    first, second = joy.step(MEASURED, 300_000_000), joy.step(MEASURED, 600_000_000)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.pose.position, second.pose.position)


def test_buttons_and_axes_that_a_device_lacks_count_as_at_rest() -> None:
    joy = mapping("gamepad")
    joy.joy([1.0], [1], 0)
    assert joy.step(MEASURED, 0) is None


def test_an_unknown_layout_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="layout 'gamepads' is unknown; did you mean 'gamepad'"):
        layout("gamepads")
