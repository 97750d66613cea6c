"""Messages to the drivers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("trajectory_msgs")

from dynamo_policies.contract import Contract
from dynamo_ros.drivers.grippers import gripper_goal
from dynamo_ros.drivers.joint_trajectory import joint_trajectory


def test_arm_message_has_one_point_of_positions_due_in_one_period(contract: Contract) -> None:
    message = joint_trajectory(contract.arm, np.arange(7) / 10)
    assert tuple(message.joint_names) == contract.arm.joints
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    (point,) = message.points
    assert list(point.positions) == pytest.approx(np.arange(7) / 10)
    assert not point.velocities
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, contract.arm.period_ns)


def test_gripper_goal_has_the_position_in_the_drivers_unit(contract: Contract) -> None:
    goal = gripper_goal(contract.gripper.closed)
    assert goal.command.position == contract.gripper.closed
