"""Motions of joints: their limits by finite differences, their ends, and where braking leads."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.contract import Contract
from dynamo_ros.core.shaping import OUTSIDE_SPEED, JointShaper, JointState, ShapingError, resting, worst_stop

PERIOD_S = 0.02
ROUNDING_RAD = 1e-7  # what rounding in ruckig may add: 5e-9 was seen
numbers = st.lists(st.floats(-8.0, 8.0), min_size=7, max_size=7).map(np.array)
MOVES = ("toward", "along", "brake")
moves = st.lists(st.tuples(st.sampled_from(MOVES), numbers, st.integers(1, 25)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def shaper(contract: Contract) -> JointShaper:
    return JointShaper(contract.arm)


def play(shaper: JointShaper, start: np.ndarray, moves: list) -> list[JointState]:
    """Return the states of motions that follow one another, begun at rest at `start`."""
    states = [resting(start)] * 3
    for name, values, periods in moves:
        for _ in range(periods):
            last = states[-1]
            states.append((shaper.braking(last) or [last])[0])
            if name != "brake":
                with suppress(ShapingError):  # then it brakes
                    states[-1] = getattr(shaper, name)(last, values)
    return states


@settings(deadline=None, max_examples=150)
@given(start=numbers, moves=moves)
def test_no_difference_of_consecutive_positions_exceeds_a_limit(
    contract: Contract, shaper: JointShaper, start: np.ndarray, moves: list
) -> None:
    arm = contract.arm
    states = play(shaper, np.clip(start, shaper.lower, shaper.upper), moves)
    positions = np.array([state.position for state in states])
    limits = (arm.velocity_rad_s, arm.acceleration_rad_s2, arm.jerk_rad_s3)
    for n, limit in enumerate(limits, start=1):
        assert (np.abs(np.diff(positions, n=n, axis=0)) / PERIOD_S**n <= np.array(limit) + 1e-6).all()
    assert (positions >= shaper.lower - ROUNDING_RAD).all()
    assert (positions <= shaper.upper + ROUNDING_RAD).all()


@settings(deadline=None, max_examples=100)
@given(start=numbers, moves=moves)
def test_braking_ends_inside_the_limits_wherever_a_motion_has_led(
    shaper: JointShaper, start: np.ndarray, moves: list
) -> None:
    for state in play(shaper, np.clip(start, shaper.lower, shaper.upper), moves)[::5]:
        way = np.array([state.position, *(later.position for later in shaper.braking(state))])
        assert (way >= shaper.lower - ROUNDING_RAD).all()
        assert (way <= shaper.upper + ROUNDING_RAD).all()


@settings(deadline=None, max_examples=50)
@given(start=numbers, moves=moves)
def test_joints_that_start_outside_come_back_slowly_and_never_farther_out_than_they_began(
    shaper: JointShaper, start: np.ndarray, moves: list
) -> None:
    outside = [
        np.maximum(np.maximum(shaper.lower - np.array(state.position), state.position - shaper.upper), 0.0)
        for state in play(shaper, start, moves)
    ]
    back = -np.diff(outside, axis=0)
    # Slowed down on their way they may swing out by less than a milliradian a period: ruckig brakes so.
    assert (np.array(outside) <= outside[0] + ROUNDING_RAD).all()
    assert (np.abs(back) <= OUTSIDE_SPEED * 2.0 * PERIOD_S + ROUNDING_RAD).all()


@settings(deadline=None, max_examples=50)
@given(start=numbers, moves=moves)
def test_braking_tick_by_tick_is_the_braking_that_was_foreseen(
    shaper: JointShaper, start: np.ndarray, moves: list
) -> None:
    state = play(shaper, np.clip(start, shaper.lower, shaper.upper), moves)[-1]
    foreseen = shaper.braking(state)
    for later in foreseen:
        state = shaper.braking(state)[0]
        np.testing.assert_allclose(state.position, later.position, atol=ROUNDING_RAD)
    assert not state.moving


def test_a_goal_is_reached_and_never_passed(shaper: JointShaper) -> None:
    goal = np.array([0.5, -0.3, 0.2, 0.9, 0.1, 0.4, -0.7])
    states = play(shaper, np.zeros(7), [("toward", goal, 60)])
    positions = np.array([state.position for state in states])
    np.testing.assert_allclose(positions[-1], goal, atol=ROUNDING_RAD)
    assert not states[-1].moving
    assert (np.abs(positions) <= np.abs(goal) + ROUNDING_RAD).all()


def test_a_jog_reaches_its_velocity_and_one_of_nothing_comes_to_rest(shaper: JointShaper) -> None:
    velocity = np.array([0.5, 0.0, 0.0, 0.0, 0.0, -1.0, 5.0])
    states = play(shaper, np.zeros(7), [("along", velocity, 40), ("along", np.zeros(7), 40)])
    np.testing.assert_allclose(states[42].velocity, [0.5, 0, 0, 0, 0, -1.0, 2.0], atol=ROUNDING_RAD)
    assert not states[-1].moving


def test_no_stop_takes_longer_or_leads_farther_than_the_worst_one(
    contract: Contract, shaper: JointShaper
) -> None:
    bound = worst_stop(contract.arm)
    for periods in range(1, 40):
        state = play(shaper, np.zeros(7), [("along", np.full(7, 2.0), periods)])[-1]
        assert (shaper.stop_seconds(state) <= bound.seconds + ROUNDING_RAD).all()
        assert (
            np.array(shaper.braking(state)[-1].position) - state.position <= bound.distance_rad + ROUNDING_RAD
        ).all()
    # From full speed without acceleration: v / a + a / j, half of it at full speed.
    full = JointState([0.0] * 7, [2.0] * 7, [0.0] * 7)
    np.testing.assert_allclose(shaper.stop_seconds(full), 2.0 / 10.0 + 10.0 / 250.0)
    np.testing.assert_allclose(shaper.braking(full)[-1].position, 0.24)
