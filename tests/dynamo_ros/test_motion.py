"""The commanded motion: every limit holds whatever is asked for, because it can always brake."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.contract import Contract
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.motion import Motion

READY = np.array([0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0])
wild = st.lists(st.floats(-8.0, 8.0), min_size=7, max_size=7).map(np.array)
near = st.lists(st.floats(-0.4, 0.4), min_size=7, max_size=7).map(lambda q: READY + q)
asked = st.lists(
    st.tuples(st.sampled_from(["toward", "along", "brake"]), wild | near, st.integers(1, 20)),
    min_size=1,
    max_size=6,
)


def play(motion: Motion, asked: list) -> np.ndarray:
    """Return the commanded joints (N, 7), begun at rest at READY."""
    motion.start(READY)
    joints = [READY] * 3
    for name, values, periods in asked:
        for _ in range(periods):
            motion.brake() if name == "brake" else getattr(motion, name)(values)
            joints.append(motion.joints)
    return np.array(joints)


@settings(deadline=None, max_examples=60)
@given(asked=asked)
def test_no_limit_is_exceeded_whatever_is_asked_for(contract: Contract, asked: list) -> None:
    assert audit(contract, play(Motion(contract), asked)).violations == ()


@settings(deadline=None, max_examples=30)
@given(asked=asked)
def test_braking_keeps_every_limit_from_wherever_a_motion_has_led(contract: Contract, asked: list) -> None:
    motion = Motion(contract)
    assert audit(contract, play(motion, [*asked, ("brake", READY, 20)])).violations == ()
    assert not motion.moving


def test_the_tool_stops_at_the_floor_however_the_joints_are_jogged(contract: Contract) -> None:
    motion = Motion(contract)
    motion.start(READY)
    lower = np.array([0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
    said = [name for _ in range(150) for name in motion.along(lower)]
    height = motion.forward(motion.joints).position[2]
    assert "workspace" in said
    assert contract.arm.workspace_lower_m[2] - 0.005 <= height <= contract.arm.workspace_lower_m[2] + 0.01


def test_a_jog_that_is_too_fast_keeps_its_direction(contract: Contract) -> None:
    motion = Motion(contract)
    motion.start(READY)
    for _ in range(30):
        motion.along(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 40.0, -80.0]))
    moved = motion.joints - READY
    assert moved[6] == pytest.approx(-2.0 * moved[5], rel=0.15)


def test_a_tool_outside_the_workspace_may_come_back_but_not_leave_farther(contract: Contract) -> None:
    motion = Motion(contract)
    outside = READY + np.array([1.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    motion.start(outside)
    motion.along(np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    np.testing.assert_array_equal(motion.joints, outside)
    for _ in range(20):
        assert motion.along(np.array([-0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])) == ()
    assert motion.joints[0] < outside[0] - 0.1


def test_where_it_would_come_to_rest_is_where_it_does(contract: Contract) -> None:
    motion = Motion(contract)
    motion.start(READY)
    for _ in range(10):
        motion.along(np.full(7, 0.1))
    rest = motion.rest
    while motion.moving:
        motion.brake()
    np.testing.assert_allclose(motion.joints, rest, atol=1e-9)


@pytest.mark.parametrize(
    ("limit", "joint", "step"),
    [
        ("velocity", 6, 0.041),
        ("acceleration", 6, 0.0041),
        ("jerk", 6, 0.0021),
        ("turn", 6, 0.045),
        ("speed", 0, 0.034),
        ("workspace", 0, 1.6),
        ("position", 1, 3.0),
    ],
)
def test_the_audit_finds_each_broken_limit(contract: Contract, limit: str, joint: int, step: float) -> None:
    joints = np.tile(READY, (8, 1))
    assert audit(contract, joints).violations == ()
    joints[4:, joint] += step
    assert limit in audit(contract, joints).violations
