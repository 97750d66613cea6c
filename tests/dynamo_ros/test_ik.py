"""Inverse kinematics: exact where the pose can be reached, still where it can't, and never beyond a limit."""

from __future__ import annotations

import numpy as np
import pytest

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose
from dynamo_ros.core.ik import IkError, InverseKinematics

PERIOD_S = 0.02


@pytest.fixture
def ik(contract: Contract) -> InverseKinematics:
    return InverseKinematics(contract)


def tool_down(contract: Contract, position: tuple[float, float, float]) -> Pose:
    return Pose(np.array(position), np.array(contract.reference_rotation))


def angle_between(pose: Pose, other: Pose) -> float:
    return 2 * float(np.arccos(min(1.0, abs(pose.quaternion @ other.quaternion))))


def test_reachable_poses_are_met_to_a_millimetre_and_a_milliradian(
    contract: Contract, ik: InverseKinematics
) -> None:
    links = chain(contract.kinematics)
    for x, y, z in np.random.default_rng(0).uniform([0.3, -0.3, 0.08], [0.5, 0.36, 0.4], size=(20, 3)):
        target = tool_down(contract, (x, y, z))
        for _ in range(150):
            positions = ik.step(target, PERIOD_S)
        position, _ = links.forward(positions, tool_offset_m=contract.tool_offset_m)
        assert np.linalg.norm(position - target.position) < 1e-3
        assert angle_between(ik.pose, target) < 1e-3


def test_its_pose_is_that_of_the_chain(contract: Contract, ik: InverseKinematics) -> None:
    ik.reset([0.3, -0.5, 0.2, 1.0, -0.4, 1.2, 0.5])
    position, rotation = chain(contract.kinematics).forward(
        ik.positions, tool_offset_m=contract.tool_offset_m
    )
    x, y, z, w = ik.pose.quaternion
    np.testing.assert_allclose(ik.pose.position, position, atol=1e-9)
    np.testing.assert_allclose(2 * np.array([x * z + w * y, y * z - w * x]), rotation[:2, 2], atol=1e-9)


def test_a_moving_target_is_followed_closely_and_smoothly(contract: Contract, ik: InverseKinematics) -> None:
    start, end = np.array([0.42, -0.2, 0.25]), np.array([0.43, 0.3, 0.25])
    for _ in range(150):
        ik.step(tool_down(contract, tuple(start)), PERIOD_S)
    steps = []
    for s in np.linspace(0.0, 1.0, 101):  # 0.25 m/s
        before = ik.positions
        target = tool_down(contract, tuple(start + s * (end - start)))
        steps.append(ik.step(target, PERIOD_S) - before)
        assert np.linalg.norm(ik.pose.position - target.position) < 1e-3
    accelerations = np.diff(steps, axis=0)[1:] / PERIOD_S**2
    assert np.abs(accelerations).max() < 5.0  # rad/s2


@pytest.mark.parametrize(
    "position", [(0.60, 0.30, 0.30), (0.66, 0.0, 0.30), (0.70, -0.30, 0.20), (1.20, 0.0, 0.30)]
)
def test_a_pose_out_of_reach_is_neared_and_then_nothing_moves(
    contract: Contract, ik: InverseKinematics, position: tuple[float, float, float]
) -> None:
    target = tool_down(contract, position)
    before = np.linalg.norm(ik.pose.position - target.position)
    for _ in range(400):
        ik.step(target, PERIOD_S)
    assert np.linalg.norm(ik.pose.position - target.position) < 0.5 * before
    settled = ik.positions
    for _ in range(25):
        assert np.abs(ik.step(target, PERIOD_S) - settled).max() < 2e-3


def test_no_step_is_faster_or_further_than_the_contract_allows(
    contract: Contract, ik: InverseKinematics
) -> None:
    random = np.random.default_rng(1)
    for _ in range(40):
        quaternion = random.normal(size=4)
        target = Pose(random.uniform(-0.9, 0.9, 3), quaternion / np.linalg.norm(quaternion))
        for _ in range(10):
            before = ik.positions
            after = ik.step(target, PERIOD_S)
            assert np.all(np.abs(after - before) <= np.array(contract.arm.velocity_rad_s) * PERIOD_S + 1e-6)
            assert np.all(after >= contract.arm.lower_rad)
            assert np.all(after <= contract.arm.upper_rad)


def test_where_it_ends_does_not_depend_on_how_the_arm_came_there(contract: Contract) -> None:
    ends = []
    for start in ((0.3, -0.3, 0.3), (0.5, 0.3, 0.2)):
        ik = InverseKinematics(contract)
        for position in (start, (0.42, -0.2, 0.15)):
            for _ in range(300):
                ik.step(tool_down(contract, position), PERIOD_S)
        ends.append(ik.positions)
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-3)


def test_a_start_outside_the_limits_is_refused_by_joint_name(
    contract: Contract, ik: InverseKinematics
) -> None:
    outside = ik.positions
    outside[3] = contract.arm.lower_rad[3] - 0.3
    with pytest.raises(IkError, match=r"joint4 stands at -0\.442 rad; possible is -0\.142 to"):
        ik.reset(outside)


def test_a_start_just_outside_the_limits_is_moved_onto_them(
    contract: Contract, ik: InverseKinematics
) -> None:
    outside = ik.positions
    outside[3] = contract.arm.lower_rad[3] - 0.02
    ik.reset(outside)
    assert ik.positions[3] == contract.arm.lower_rad[3]
