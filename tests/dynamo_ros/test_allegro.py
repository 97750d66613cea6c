import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_ros.core.allegro import (
    FINGERS,
    HAND_DRIVERS,
    HOME_RAD,
    KINEMATICS,
    LOWER_RAD,
    UPPER_RAD,
    finger_slice,
    hand_driver,
    reach,
)
from dynamo_ros.core.quad import QuadMap

ZEROS = np.array([*[0.0] * 12, 0.263, 0.0, 0.0, 0.0])
# Computed from the URDF of the ROS 1 driver, palm_link, m.
TIPS = {
    "index": ((0.0, 0.0553, 0.1334), (0.0389, 0.0527, 0.1037)),
    "middle": ((0.0, 0.0, 0.1362), (0.0389, 0.0, 0.1064)),
    "ring": ((0.0, -0.0553, 0.1334), (0.0490, -0.0477, 0.0958)),
    "thumb": ((0.0260, 0.1612, -0.0855), (0.1060, 0.0624, -0.0314)),
}


@pytest.mark.parametrize("finger", FINGERS)
def test_the_tips_are_where_the_urdf_puts_them(finger: str) -> None:
    here = finger_slice(finger)
    for joints, expected in zip((ZEROS, HOME_RAD), TIPS[finger], strict=True):
        tip, _ = KINEMATICS[finger].forward(joints[here])
        np.testing.assert_allclose(tip, expected, atol=6e-5)


@pytest.mark.parametrize("finger", FINGERS)
def test_the_derivative_is_that_of_the_tip(finger: str) -> None:
    joints = HOME_RAD[finger_slice(finger)]
    tip, derivative = KINEMATICS[finger].forward(joints)
    for i in range(4):
        nudged, _ = KINEMATICS[finger].forward(joints + 1e-6 * np.eye(4)[i])
        np.testing.assert_allclose(derivative[:, i], (nudged - tip) / 1e-6, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FINGERS), st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
def test_a_tip_within_reach_is_reached_within_the_limits(finger: str, parts: list[float]) -> None:
    here = finger_slice(finger)
    joints = LOWER_RAD[here] + np.array(parts) * (UPPER_RAD[here] - LOWER_RAD[here])
    tip, _ = KINEMATICS[finger].forward(joints)
    found = reach(finger, tip, HOME_RAD[here])
    assert (found >= LOWER_RAD[here]).all()
    assert (found <= UPPER_RAD[here]).all()
    np.testing.assert_allclose(KINEMATICS[finger].forward(found)[0], tip, atol=3e-3)


def test_a_tip_out_of_reach_is_approached_within_the_limits() -> None:
    here = finger_slice("thumb")
    found = reach("thumb", [1.0, 0.0, 0.0], HOME_RAD[here])
    assert ((found >= LOWER_RAD[here]) & (found <= UPPER_RAD[here])).all()
    assert KINEMATICS["thumb"].forward(found)[0][0] > 0.11


def test_wonik_v4_wants_the_thumb_first_and_the_others_the_index_finger() -> None:
    joints = np.arange(16.0)
    np.testing.assert_array_equal(
        hand_driver("wonik_v4").to_driver(joints), [12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    )
    for name in ("wonik_v5", "ros1_v4", "dime"):
        np.testing.assert_array_equal(hand_driver(name).to_driver(joints), joints)


@pytest.mark.parametrize("name", HAND_DRIVERS)
def test_a_drivers_joints_come_back_by_name_in_any_order(name: str) -> None:
    driver = hand_driver(name)
    joints = np.arange(16.0)
    told = list(zip(driver.joints, driver.to_driver(joints), strict=True))[::-1]
    names, positions = [*(n for n, _ in told), "other"], [*(p for _, p in told), 7.0]
    found = driver.from_driver(names, positions)
    assert found is not None
    np.testing.assert_array_equal(found, joints)
    assert driver.from_driver(names[1:], positions[1:]) is None
    assert driver.from_driver(names, [np.nan, *positions[1:]]) is None


def test_an_unknown_driver_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'wonik_v4'"):
        hand_driver("wonik_4")


HAND = ((0.07, 0.11), (0.07, 0.04), (-0.03, 0.03), (-0.03, 0.12))
ROBOT = ((0.08, 0.0), (0.09, -0.04), (-0.01, -0.04), (0.0, 0.01))


def test_corners_go_to_corners_and_lines_stay_lines() -> None:
    to_robot = QuadMap(HAND, ROBOT)
    for corner, goal in zip(HAND, ROBOT, strict=True):
        np.testing.assert_allclose(to_robot(corner), goal, atol=1e-12)
    a, b, c = (to_robot(np.array([0.0, 0.05]) + part * np.array([0.04, 0.03])) for part in (0.0, 0.4, 1.0))
    ab, ac = b - a, c - a
    assert ab[0] * ac[1] - ab[1] * ac[0] == pytest.approx(0.0, abs=1e-12)


def test_a_point_outside_goes_where_the_nearest_inside_goes() -> None:
    to_robot = QuadMap(HAND, ROBOT)
    np.testing.assert_allclose(to_robot((0.5, 0.5)), ROBOT[0], atol=1e-12)
    np.testing.assert_allclose(to_robot((0.2, 0.07)), to_robot((0.07, 0.07)), atol=1e-12)


@pytest.mark.parametrize(
    "corners",
    [
        ((0, 0), (1, 1), (1, 0), (0, 1)),  # crossed
        ((0, 0), (1, 0), (2, 0), (0, 1)),  # a corner on an edge
        ((0, 0), (1, 0), (1, 1)),
    ],
)
def test_what_is_no_convex_quadrilateral_is_refused(corners: tuple) -> None:
    with pytest.raises(ConfigError, match=r"convex|4 corners"):
        QuadMap(corners, ROBOT)
