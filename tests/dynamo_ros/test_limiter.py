"""The limits of targets and of the tool."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.limiter import Limiter, is_finite

DOWN = np.array([1.0, 0.0, 0.0, 0.0])
places = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3).map(np.array)
turns = st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3).map(
    lambda vector: np.asarray(Rotation.from_rotvec(vector).as_quat())
)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("entry", range(8))
def test_one_number_that_is_not_finite_makes_a_target_so(bad: float, entry: int) -> None:
    values = np.array([0.4, 0.0, 0.3, *DOWN, 0.5])
    assert is_finite(Target(Pose(values[:3], values[3:7]), values[7]))
    values[entry] = bad
    assert not is_finite(Target(Pose(values[:3], values[3:7]), values[7]))


def test_a_quaternion_of_nothing_is_no_rotation() -> None:
    assert not is_finite(Target(Pose(np.zeros(3), np.zeros(4)), 0.0))


@given(place=places, gripper=st.floats(-9.0, 9.0), scale=st.floats(0.01, 100.0))
def test_a_target_is_moved_into_the_workspace_and_normalised(
    contract: Contract, place: np.ndarray, gripper: float, scale: float
) -> None:
    arm = contract.arm
    limited, clipped = Limiter(contract).workspace(Target(Pose(place, scale * DOWN), gripper))
    assert (limited.pose.position >= arm.workspace_lower_m).all()
    assert (limited.pose.position <= arm.workspace_upper_m).all()
    assert (clipped == ()) == (limited.pose.position == place).all()
    assert np.linalg.norm(limited.pose.quaternion) == pytest.approx(1.0)
    assert 0.0 <= limited.gripper <= 1.0


@given(place=places, turn=turns, fraction=st.floats(0.0, 1.0))
def test_a_step_towards_a_goal_is_never_too_fast(
    contract: Contract, place: np.ndarray, turn: np.ndarray, fraction: float
) -> None:
    start = Pose(np.array([0.4, 0.0, 0.3]), DOWN)
    step, _ = Limiter(contract).approach(start, Pose(place, turn), fraction=fraction, dt_s=0.02)
    assert np.linalg.norm(step.position - start.position) <= contract.arm.speed_m_s * 0.02 + 1e-9
    turned = Rotation.from_quat(step.quaternion) * Rotation.from_quat(start.quaternion).inv()
    assert turned.magnitude() <= contract.arm.turn_rad_s * 0.02 + 1e-9


def test_a_share_of_a_step_that_is_too_fast_is_just_as_fast_as_possible(contract: Contract) -> None:
    start = Pose(np.array([0.4, 0.0, 0.3]), DOWN)
    wanted = Pose(np.array([0.4, 0.04, 0.3]), DOWN)
    share, slow = Limiter(contract).share(start, wanted, dt_s=0.02)
    assert share * 0.04 == pytest.approx(contract.arm.speed_m_s * 0.02)
    assert slow == ("speed",)
    assert Limiter(contract).share(start, start, dt_s=0.02) == (1.0, ())


def along(*positions: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(positions), np.tile(np.eye(3), (len(positions), 1, 1))


def test_a_way_of_the_tool_is_told_what_it_breaks(contract: Contract) -> None:
    limiter, inside = Limiter(contract), [0.4, 0.0, 0.3]
    assert limiter.exceeded(*along(inside, [0.4, 0.01, 0.3]), dt_s=0.02) == ()
    assert limiter.exceeded(*along(inside, [0.4, 0.0115, 0.3]), dt_s=0.02) == ("speed",)
    # 5 mm outside are tolerated; from farther outside it may come back but go no farther.
    assert limiter.exceeded(*along([0.145, 0.0, 0.3], [0.1452, 0.0, 0.3]), dt_s=0.02) == ()
    assert limiter.exceeded(*along([0.1451, 0.0, 0.3], [0.1449, 0.0, 0.3]), dt_s=0.02) == ("workspace",)
    assert limiter.exceeded(*along([0.1, 0.0, 0.3], [0.101, 0.0, 0.3]), dt_s=0.02) == ()
    assert limiter.exceeded(*along([0.1, 0.0, 0.3], [0.099, 0.0, 0.3]), dt_s=0.02) == ("workspace",)
    turned = np.stack([np.eye(3), Rotation.from_euler("z", 0.05).as_matrix()])
    assert limiter.exceeded(np.tile(inside, (2, 1)), turned, dt_s=0.02) == ("turn",)
