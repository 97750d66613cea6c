"""A policy of 22 numbers on an arm with an Allegro hand V4, through the inference node and over DDS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.inference_node import InferenceNode
from hand_fixtures import FIRST, WANTED, all_fingers
from ideal_hand import RobotWithHand
from inference_fixtures import GOAL, activate, at_rest, configured, trigger
from ros_fixtures import Ros

BEGUN, GOALS = np.array(all_fingers(FIRST)), np.array(all_fingers(WANTED))
BLOCKED = np.where(GOALS > BEGUN, (BEGUN + GOALS) / 2, np.inf)  # what bends meets something half-way


@pytest.fixture
def active(ros: Ros, hand_robot: RobotWithHand, hand_bundle: Path, patient_hand: Path) -> InferenceNode:
    """An inference node that commands arm and hand."""
    node = configured(ros, hand_robot, hand_bundle, patient_hand, task="pick_sponge")
    assert hand_robot.sent == []
    activate(ros, hand_robot)
    return node


def at_wanted(ros: Ros, robot: RobotWithHand) -> None:
    """Wait until the fingers are sent to where the policy wants them."""
    ros.until(lambda: robot.sent and np.abs(robot.sent[-1] - GOALS).max() < 1e-4, what="the posture")


def assert_within_limits(robot: RobotWithHand, contract: Contract) -> None:
    """Hold each joint's way from command to command, from where the hand began, against the contract."""
    sink, sent = contract.need_hand("this test"), np.array([BEGUN, *robot.sent])
    most = np.minimum(sink.step_rad, np.array(sink.velocity_rad_s) / sink.rate_hz)
    assert (np.abs(np.diff(sent, axis=0)) <= most + 1e-9).all()
    assert (sent[1:] >= np.array(sink.lower_rad) - 1e-9).all()
    assert (sent[1:] <= np.array(sink.upper_rad) + 1e-9).all()


def test_each_finger_goes_where_the_policy_wants_it_step_by_step(
    ros: Ros, hand_robot: RobotWithHand, active: InferenceNode, allegro: Contract
) -> None:
    at_wanted(ros, hand_robot)
    for finger, joints in hand_robot.hand.fingers().items():  # the driver's own order, thumb first
        assert joints == pytest.approx(WANTED[finger], abs=1e-4), finger
    assert_within_limits(hand_robot, allegro)
    sink, steps = allegro.need_hand("this test"), np.abs(np.diff(hand_robot.sent, axis=0)).max(axis=0)
    abduction = [4, 8, 12]  # of index, middle and ring, which were asked to go farther at once
    assert (steps[abduction] > 0.9 * np.array(sink.step_rad)[abduction]).all()
    ros.until(lambda: len(hand_robot.told) >= len(hand_robot.sent), what="what the hand was told")
    assert tuple(hand_robot.told[-1].name) == sink.joints
    np.testing.assert_array_equal(hand_robot.told[-1].position, hand_robot.sent[-1])
    ros.until(lambda: abs(hand_robot.poses[-1].pose.position.y - GOAL[1]) < 2e-3, what="the arm's goal")


def test_a_stop_lets_go_of_what_the_fingers_press_on(
    ros: Ros, hand_robot: RobotWithHand, active: InferenceNode, allegro: Contract
) -> None:
    hand_robot.blocked = BLOCKED
    at_wanted(ros, hand_robot)
    assert np.abs(hand_robot.sent[-1] - hand_robot.measured).max() > 0.3
    assert trigger(ros, hand_robot, "stop") is None
    at_rest(ros, hand_robot)
    np.testing.assert_allclose(hand_robot.sent[-1], hand_robot.measured, atol=1e-6)
    np.testing.assert_allclose(hand_robot.sent[-1], np.minimum(GOALS, BLOCKED), atol=1e-4)
    assert_within_limits(hand_robot, allegro)
    count = len(hand_robot.sent)
    ros.spin(0.3)
    assert len(hand_robot.sent) == count
