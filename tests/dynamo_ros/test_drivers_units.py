"""Between the xArm's units and ours: what goes there comes back, also where angles wrap."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Pose
from dynamo_ros.core.steps import joint_step, pose_after, pose_step, pose_way, shorten
from dynamo_ros.core.xarm_units import (
    from_axis_angle,
    from_pulse,
    from_rpy,
    from_twist,
    to_axis_angle,
    to_pulse,
    to_rpy,
    to_twist,
)

metres = st.floats(-1.0, 1.0)
positions = st.tuples(metres, metres, metres).map(np.array)
angles = st.floats(-np.pi, np.pi)
vectors = st.tuples(angles, angles, angles).map(np.array)
poses = st.builds(lambda p, v: Pose(p, Rotation.from_rotvec(v).as_quat()), positions, vectors)
DOWN = Pose(np.array([0.206, 0.0, 0.1205]), np.array([1.0, 0.0, 0.0, 0.0]))
UPRIGHT = Pose(np.zeros(3), Rotation.from_euler("xyz", [0.3, np.pi / 2, 0.7]).as_quat())
HANGING = Pose(np.zeros(3), Rotation.from_euler("xyz", [-2.0, -np.pi / 2, 1.1]).as_quat())


def assert_same(one: Pose, other: Pose) -> None:
    """Compare to what float32, the type of the driver's messages, can tell apart."""
    way = pose_way(one, other)
    np.testing.assert_allclose(way[:3], 0.0, atol=1e-6)
    np.testing.assert_allclose(way[3:], 0.0, atol=2e-6)


@given(poses)
@example(DOWN)
@example(UPRIGHT)
@example(HANGING)
def test_a_pose_survives_roll_pitch_yaw(pose: Pose) -> None:
    values = to_rpy(pose)
    assert_same(from_rpy(values), pose)
    assert_same(from_rpy(np.float32(values).tolist()), pose)


@given(poses)
@example(DOWN)
@example(UPRIGHT)
def test_a_pose_survives_axis_and_angle(pose: Pose) -> None:
    values = to_axis_angle(pose)
    assert_same(from_axis_angle(values), pose)
    assert_same(from_axis_angle(np.float32(values).tolist()), pose)


@given(positions, st.floats(-1e-3, 1e-3), st.floats(-1.0, 1.0))
def test_a_tool_that_points_down_survives_the_wrap_at_roll_pi(
    position: np.ndarray, roll: float, yaw: float
) -> None:
    pose = Pose(position, Rotation.from_euler("xyz", [np.pi + roll, 0.0, yaw]).as_quat())
    assert_same(from_rpy(to_rpy(pose)), pose)
    assert abs(to_rpy(pose)[3]) == pytest.approx(np.pi, abs=2e-3)


def test_the_vendors_home_is_told_in_its_numbers() -> None:
    # Joints at zero: (0.206, 0, 0.1205) m, roll pi (docs/drivers.md names the source).
    assert to_rpy(DOWN) == pytest.approx([206.0, 0.0, 120.5, np.pi, 0.0, 0.0])
    assert to_axis_angle(DOWN) == pytest.approx([206.0, 0.0, 120.5, np.pi, 0.0, 0.0])


@given(st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6))
def test_a_twist_survives(values: list[float]) -> None:
    assert to_twist(values)[:3] == pytest.approx([1000.0 * value for value in values[:3]])
    np.testing.assert_allclose(from_twist(to_twist(values)), values, atol=1e-12)


@given(st.floats(0.0, 0.85))
def test_the_grippers_pulse_survives(position_rad: float) -> None:
    assert 0.0 <= to_pulse(position_rad) <= 850.0
    assert from_pulse(to_pulse(position_rad)) == pytest.approx(position_rad, abs=1e-9)


def test_the_gripper_is_open_at_850() -> None:
    assert (to_pulse(0.0), to_pulse(0.85)) == (850.0, 0.0)
    assert (to_pulse(-0.1), to_pulse(0.9)) == (850.0, 0.0)


@given(poses, poses, st.floats(1e-4, 0.05), st.floats(1e-3, 0.5))
def test_a_step_is_no_longer_than_allowed_and_leads_there(
    start: Pose, end: Pose, step_m: float, step_rad: float
) -> None:
    step = pose_way(start, pose_step(start, end, step_m=step_m, step_rad=step_rad))
    assert np.linalg.norm(step[:3]) <= step_m * (1.0 + 1e-9)
    assert np.linalg.norm(step[3:]) <= step_rad * (1.0 + 1e-6)
    left, way = pose_way(pose_after(start, step), end), pose_way(start, end)
    assert np.linalg.norm(left[:3]) == pytest.approx(max(np.linalg.norm(way[:3]) - step_m, 0.0), abs=1e-9)


@given(st.lists(angles, min_size=7, max_size=7), st.floats(1e-3, 0.5))
def test_no_joint_steps_farther_than_allowed(joints: list[float], step_rad: float) -> None:
    end = np.array(joints)
    step = joint_step(np.zeros(7), end, step_rad=step_rad)
    assert np.abs(step).max() <= step_rad * (1.0 + 1e-9)
    np.testing.assert_allclose(np.cross(step[:3], end[:3]), 0.0, atol=1e-9)


def test_a_short_vector_stays() -> None:
    np.testing.assert_array_equal(shorten(np.array([0.3, 0.4]), 0.5), [0.3, 0.4])
    np.testing.assert_allclose(shorten(np.array([0.3, 0.4]), 0.25), [0.15, 0.2])
