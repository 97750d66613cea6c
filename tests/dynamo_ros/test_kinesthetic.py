import numpy as np
import pytest

from dynamo_policies.contract import Contract
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.kinesthetic import Kinesthetic

LED = np.array([0.1, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0])
STEP_NS = 20_000_000


@pytest.fixture
def guided(contract: Contract) -> Kinesthetic:
    """Teaching with an arm that is free at time 0."""
    teaching = Kinesthetic(contract)
    assert teaching.step(0) is None
    teaching.drive.begin()
    while (call := teaching.drive.due(0)) is not None:
        teaching.drive.answered(call, 0, "", 0)
    assert teaching.drive.state == "free"
    return teaching


def test_where_the_arm_is_led_is_what_counts_as_commanded(contract: Contract, guided: Kinesthetic) -> None:
    guided.observe(LED, STEP_NS)
    label = guided.step(STEP_NS)
    assert label is not None
    np.testing.assert_allclose(label.target.pose.position, Commander(contract).forward(LED).position)
    assert label.gripper is None


def test_there_is_no_label_before_the_joints_speak_nor_when_they_are_old(guided: Kinesthetic) -> None:
    assert guided.step(0) is None
    guided.observe(LED, 0)
    assert guided.step(100_000_000) is not None
    assert guided.step(120_000_000) is None
    assert guided.drive.state == "free"


def test_joints_that_stay_silent_end_it(guided: Kinesthetic) -> None:
    guided.observe(LED, 0)
    assert guided.step(600_000_000) is None
    assert guided.drive.state == "leaving"
    assert guided.drive.reason == "no joint positions of the arm for 0.60 s"


def test_a_command_to_the_arm_ends_it(guided: Kinesthetic) -> None:
    guided.observe(LED, 0)
    guided.commanded()
    assert guided.step(0) is None
    assert "commanded while it was hand-guided" in guided.drive.reason


def test_the_gripper_follows_wishes_and_counts_as_measured_before_the_first(guided: Kinesthetic) -> None:
    guided.observe(LED, 0)
    guided.observe_gripper(0.8)
    labels = [guided.step(0)]
    guided.wish(0.0)
    labels += [guided.step(STEP_NS), guided.step(2 * STEP_NS)]
    told = [(label.target.gripper, label.gripper) for label in labels if label is not None]
    assert told == [(1.0, None), (0.0, 0.0), (0.0, None)]


def test_joints_that_are_not_finite_count_as_none(guided: Kinesthetic) -> None:
    guided.observe(LED * np.nan, 0)
    assert guided.step(0) is None
