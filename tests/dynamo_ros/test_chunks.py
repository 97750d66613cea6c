"""Blending of overlapping chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.chunks import ChunkBlender, mean_target

PERIOD = 100


def target(x: float, *, yaw: float = 0.0, gripper: float = 0.0) -> Target:
    return Target(Pose(np.array([x, 0.0, 0.0]), Rotation.from_euler("z", yaw).as_quat()), gripper)


def test_kth_target_of_a_chunk_is_for_k_plus_one_periods_after_its_tick() -> None:
    blender = ChunkBlender(PERIOD)
    blender.add(1000, [target(1.0), target(2.0), target(3.0)])
    assert blender.at(1000) is None
    assert [blender.at(time).pose.position[0] for time in (1100, 1200, 1300)] == [1.0, 2.0, 3.0]  # type: ignore[union-attr]  # the chunk reaches there
    assert blender.at(1400) is None


def test_what_a_late_chunk_says_of_the_past_is_dropped() -> None:
    blender = ChunkBlender(PERIOD)
    blender.add(1000, [target(1.0), target(2.0), target(3.0), target(4.0)])
    assert blender.at(1300) is not None
    assert blender.at(1100) is None
    blender.add(900, [target(0.0), target(0.0), target(0.0), target(9.0)])
    now = blender.at(1300)
    assert now is not None
    assert now.pose.position[0] == pytest.approx(6.0)  # only the last of the late one is for now


def test_overlapping_chunks_are_averaged_with_equal_weight() -> None:
    blender = ChunkBlender(PERIOD)
    blender.add(0, [target(0.0), target(1.0, yaw=0.2, gripper=1.0)])
    blender.add(100, [target(2.0, yaw=0.4)])
    blended = blender.at(200)
    assert blended is not None
    assert blended.pose.position[0] == pytest.approx(1.5)
    assert Rotation.from_quat(blended.pose.quaternion).as_rotvec()[2] == pytest.approx(0.3)
    assert blended.gripper == pytest.approx(0.5)


def test_a_quaternion_and_its_negative_are_one_rotation() -> None:
    one = target(0.0, yaw=0.3)
    other = Target(Pose(one.pose.position, -one.pose.quaternion), 0.0)
    mean = mean_target([one, other]).pose.quaternion
    assert abs(mean @ one.pose.quaternion) == pytest.approx(1.0)


def test_horizon_cuts_chunks_off() -> None:
    blender = ChunkBlender(PERIOD, horizon=1)
    blender.add(0, [target(1.0), target(2.0)])
    assert blender.at(100) is not None
    assert blender.at(200) is None


def test_nothing_of_an_episode_is_left_after_clear() -> None:
    blender = ChunkBlender(PERIOD)
    blender.add(0, [target(1.0)])
    blender.clear()
    assert blender.at(100) is None


@given(xs=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=10), yaw=st.floats(-3.0, 3.0))
def test_mean_lies_among_its_targets(xs: list[float], yaw: float) -> None:
    mean = mean_target([target(x, yaw=yaw, gripper=abs(x)) for x in xs])
    assert min(xs) - 1e-9 <= mean.pose.position[0] <= max(xs) + 1e-9
    assert np.linalg.norm(mean.pose.quaternion) == pytest.approx(1.0)
