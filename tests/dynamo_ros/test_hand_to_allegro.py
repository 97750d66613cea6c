from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import ConfigError
from dynamo_ros.core.allegro import HOME_RAD, KINEMATICS, LOWER_RAD, UPPER_RAD, finger_slice, reach
from dynamo_ros.core.hand_to_allegro import HandAllegroSettings, HandToAllegro, palm_points
from dynamo_ros.core.hand_tracking import FINGERS
from hands import UPRIGHT, flat_hand

DT_S = 1 / 60
SETTINGS = HandAllegroSettings()
WRIST = np.array([0.1, 1.2, 0.3])


def seen(points: np.ndarray) -> np.ndarray:
    """Return points given in the palm's axes as the headset sees them."""
    return points @ UPRIGHT.T + WRIST


def bent(finger: str, angle: float) -> np.ndarray:
    """Return a hand with each joint of `finger` bent by `angle` towards the palm."""
    points = flat_hand()
    direction, joints = np.array([0.0, 0.0, 0.03]), FINGERS[finger]
    for previous, joint in pairwise(joints):
        direction = Rotation.from_rotvec([angle, 0.0, 0.0]).apply(direction)
        points[joint] = points[previous] + direction
    return seen(points)


def settled(points: np.ndarray, steps: int = 60) -> np.ndarray:
    hand = HandToAllegro(SETTINGS)
    hand.start(HOME_RAD)
    for _ in range(steps):
        joints = hand.step(points, DT_S)
    return joints


def test_the_palms_axes_are_across_along_and_depth() -> None:
    np.testing.assert_allclose(palm_points(seen(flat_hand())), flat_hand()[:, [0, 2, 1]], atol=1e-12)


@pytest.mark.parametrize("finger", ["index", "middle", "ring"])
def test_a_bent_finger_bends_its_counterpart_alone(finger: str) -> None:
    straight, flexed = settled(seen(flat_hand())), settled(bent(finger, 0.5))
    here = finger_slice(finger)
    # Of the three angles the first is at the knuckle, between wrist and finger, so not exactly 0.5.
    np.testing.assert_allclose(flexed[here][2:], [0.55, 0.55], atol=1e-6)
    assert flexed[here][1] == pytest.approx(0.55, abs=0.35)
    others = np.delete(np.arange(16), np.r_[here])
    np.testing.assert_allclose(flexed[others], straight[others], atol=1e-6)


def test_a_finger_towards_the_thumb_abducts_positively() -> None:
    points = flat_hand()
    points[list(FINGERS["middle"][1:]), 0] += 0.03
    here = finger_slice("middle").start
    assert 0.0 < settled(seen(points))[here] - settled(seen(flat_hand()))[here] < 0.02 * 0.5


def test_the_thumbs_tip_goes_to_its_place_in_the_robots_box() -> None:
    points = flat_hand()
    points[FINGERS["thumb"][-1]] = [0.02, -0.035, 0.075]  # the middle of the hand's box
    joints = settled(seen(points), 120)
    tip, _ = KINEMATICS["thumb"].forward(joints[finger_slice("thumb")])
    np.testing.assert_allclose(tip, [0.0775, 0.03, -0.0275], atol=2e-3)


@pytest.mark.parametrize("x", SETTINGS.thumb_x_m)
@pytest.mark.parametrize("corner", range(4))
def test_the_robots_thumb_box_is_within_reach(x: float, corner: int) -> None:
    here = finger_slice("thumb")
    y, z = np.reshape(SETTINGS.thumb_robot_m, (4, 2))[corner]
    found = reach("thumb", [x, y, z], HOME_RAD[here])
    np.testing.assert_allclose(KINEMATICS["thumb"].forward(found)[0], [x, y, z], atol=5e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_hand_whatever_exceeds_limits_or_steps(seed: int) -> None:
    random = np.random.default_rng(seed)
    hand = HandToAllegro(SETTINGS)
    hand.start(HOME_RAD)
    last = HOME_RAD
    for _ in range(5):
        joints = hand.step(random.normal(scale=0.1, size=(24, 3)), DT_S)
        assert (np.abs(joints - last) <= np.minimum(SETTINGS.step_rad, 7.0 * DT_S) + 1e-9).all()
        assert ((joints >= LOWER_RAD - 1e-9) & (joints <= UPPER_RAD + 1e-9)).all()
        last = joints


def test_after_a_pause_the_robots_hand_begins_where_it_is_measured() -> None:
    hand = HandToAllegro(SETTINGS)
    points = seen(flat_hand())
    assert hand.follow(points, None, DT_S) is None
    for measured in (HOME_RAD, HOME_RAD + 0.3):
        first = hand.follow(points, measured, DT_S)
        assert first is not None
        assert (np.abs(first - measured) <= 7.0 * DT_S + 1e-9).all()
        assert hand.follow(None, measured, DT_S) is None


def test_a_hand_that_was_not_started_does_not_move() -> None:
    with pytest.raises(ValueError, match="not started"):
        HandToAllegro(SETTINGS).step(seen(flat_hand()), DT_S)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"flexion": (1.0,)}, "flexion has 1 numbers; it needs 3"),
        ({"thumb_depth_m": (0.1, 0.1)}, "is no range"),
    ],
)
def test_settings_that_can_not_be_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        HandAllegroSettings(**wrong)
