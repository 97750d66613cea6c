import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from control_msgs.action import GripperCommand
from rclpy.action import ActionServer

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.gripper import PendingGoal
from dynamo_ros.nodes.commands import CommandPublisher
from ros_fixtures import Ros

PERIOD_NS = 20_000_000


def test_a_goal_is_offered_until_it_is_taken() -> None:
    pending = PendingGoal()
    assert pending.offer(0.85, 0) == 0.85
    assert pending.offer(None, PERIOD_NS) == 0.85
    pending.taken()
    assert pending.offer(None, 2 * PERIOD_NS) is None


def test_a_newer_goal_replaces_an_older_one() -> None:
    pending = PendingGoal()
    pending.offer(0.85, 0)
    assert pending.offer(0.0, PERIOD_NS) == 0.0


def test_a_goal_does_not_outlive_a_pause_or_a_clock_that_jumps_back() -> None:
    for later_ns in (2_000_000_000, -1):
        pending = PendingGoal()
        pending.offer(0.85, 0)
        assert pending.offer(None, later_ns) is None


def test_a_gripper_that_comes_up_late_gets_the_goal(ros: Ros, contract: Contract) -> None:
    node = ros.node("commander")
    commands = CommandPublisher(node, contract)
    target = Target(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), 1.0)
    commands.tell(target, contract.gripper.closed, 0)
    goals: list[float] = []

    def take(handle: Any) -> GripperCommand.Result:
        goals.append(handle.request.command.position)
        handle.succeed()
        return GripperCommand.Result()

    server = ActionServer(ros.node("gripper"), GripperCommand, contract.gripper.action, take)
    stamps = itertools.count(PERIOD_NS, PERIOD_NS)

    def taken() -> bool:
        commands.tell(target, None, next(stamps))
        return bool(goals)

    ros.until(taken, what="the goal")
    ros.spin(0.2)
    assert goals == [contract.gripper.closed]
    server.destroy()
