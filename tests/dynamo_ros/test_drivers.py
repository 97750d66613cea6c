"""Messages to the drivers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trajectory_msgs")

from rclpy.serialization import deserialize_message, serialize_message
from trajectory_msgs.msg import JointTrajectory

from dynamo_policies.contract import Contract, load_contract
from dynamo_ros.drivers.grippers import gripper_goal
from dynamo_ros.drivers.joint_trajectory import TrajectoryMessages, joint_trajectory

ROBOTS = Path(__file__).parents[2] / "config/robots"


def test_arm_message_has_a_point_of_positions_due_in_one_period(contract: Contract) -> None:
    message = joint_trajectory(contract.arm, np.arange(7)[None] / 10)
    assert tuple(message.joint_names) == contract.arm.joints
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    (point,) = message.points
    assert list(point.positions) == pytest.approx(np.arange(7) / 10)
    assert not point.velocities
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, contract.arm.period_ns)


def test_braking_follows_one_period_after_another_and_ends_without_velocity(contract: Contract) -> None:
    way = np.arange(490).reshape(70, 7) / 100
    points = joint_trajectory(contract.arm, way).points
    np.testing.assert_array_equal([point.positions for point in points], way)
    times = [one.time_from_start.sec * 10**9 + one.time_from_start.nanosec for one in points]
    assert np.diff([0, *times]).tolist() == [contract.arm.period_ns] * 70
    assert not any(len(point.velocities) for point in points)


@pytest.mark.parametrize("robot", ["xarm_kitchen", "franka_allegro", "xarm7_allegro_v5"])
def test_what_is_sent_is_the_message_however_many_points_it_has(robot: str) -> None:
    arm = load_contract(ROBOTS / f"{robot}.yaml").arm
    messages, random = TrajectoryMessages(arm, serialize_message), np.random.default_rng(0)
    for count in (1, 14, 2, 14, 1, 60):
        way = random.normal(size=(count, len(arm.joints)))
        sent = deserialize_message(messages.of(way), JointTrajectory)
        assert sent == joint_trajectory(arm, way)


def test_gripper_goal_has_the_position_in_the_drivers_unit(contract: Contract) -> None:
    goal = gripper_goal(contract.gripper.closed)
    assert goal.command.position == contract.gripper.closed
