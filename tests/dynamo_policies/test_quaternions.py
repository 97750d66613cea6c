"""Single turns are those of scipy's Rotation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynamo_policies.quaternions import FloatArray, from_matrix, mean, turn_between, turned

SEEDS = range(40)


def close(given: FloatArray, expected: FloatArray) -> bool:
    """Return whether two quaternions are one turn, to rounding."""
    return 1.0 - abs(float(np.dot(given, expected))) < 1e-14


def pair(seed: int) -> tuple[Rotation, Rotation]:
    """Return two turns, the second near the first or anywhere."""
    random = np.random.default_rng(seed)
    start = Rotation.random(random_state=seed)
    size = (1e-9, 1e-4, 1e-2, 1.0, 3.1)[seed % 5]
    axis = random.normal(size=3)
    return start, Rotation.from_rotvec(size * axis / np.linalg.norm(axis)) * start


@pytest.mark.parametrize("seed", SEEDS)
def test_the_turn_between_two_is_scipys(seed: int) -> None:
    start, end = pair(seed)
    expected = (end * start.inv()).as_rotvec()
    assert np.allclose(turn_between(start.as_quat(), -2.0 * end.as_quat()), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_turning_by_the_turn_between_leads_to_the_end(seed: int) -> None:
    start, end = pair(seed)
    turn = turn_between(start.as_quat(), end.as_quat())
    given = turned(start.as_quat(), turn)
    assert close(given, end.as_quat())
    assert np.linalg.norm(given) == pytest.approx(1.0, abs=1e-15)
    assert np.allclose(given, (Rotation.from_rotvec(turn) * start).as_quat(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_quaternion_of_a_matrix_is_scipys(seed: int) -> None:
    rotation = pair(seed)[1]
    assert np.allclose(from_matrix(rotation.as_matrix()), rotation.as_quat(), atol=1e-14) or np.allclose(
        from_matrix(rotation.as_matrix()), -rotation.as_quat(), atol=1e-14
    )


@pytest.mark.parametrize("axis", np.eye(3))
def test_half_turns_have_a_quaternion(axis: FloatArray) -> None:
    rotation = Rotation.from_rotvec(np.pi * axis)
    assert close(from_matrix(rotation.as_matrix()), rotation.as_quat())


def test_the_mean_does_not_depend_on_signs_and_is_scipys() -> None:
    several = Rotation.from_rotvec(0.1 * np.random.default_rng(0).normal(size=(7, 3)))
    rows = several.as_quat() * np.array([1, -1, 1, -1, 1, 1, -1])[:, None]
    assert close(mean(list(rows)), several.mean().as_quat())
    assert close(mean([rows[1]]), rows[1])


def test_no_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="stands for no turn"):
        turned(np.zeros(4), np.zeros(3))
