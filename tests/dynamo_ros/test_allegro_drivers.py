"""Each family of Allegro drivers moves the fingers that were meant, and the order is what makes it so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_policies.contract import load_contract
from dynamo_policies.hand_sink import HAND_JOINTS, HandKind, HandSink
from dynamo_policies.streams import JointStream
from dynamo_ros.core.allegro import DRIVER_OF_KIND, FINGERS, HOME_RAD, hand_driver
from dynamo_ros.core.hand_target import hand_joints
from dynamo_ros.drivers import HAND_MESSAGES
from fakes.allegro import FAKES, INITIAL_V4, ControllerError, WonikV4

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
FILES = {
    "allegro_v4": "allegro_manipulation",
    "allegro_v5": "xarm7_allegro_v5",
    "allegro_dime": "xarm7_allegro_dime",
}
CONTRACTS = {kind: load_contract(ROBOTS / f"{file}.yaml") for kind, file in FILES.items()}
# Home, each joint a little different, so that no two could be taken for one another.
INDEX_FIRST = (HOME_RAD + 0.003 * np.arange(16)).round(6)
POSTURE = {finger: INDEX_FIRST[4 * number : 4 * number + 4].tolist() for number, finger in enumerate(FINGERS)}


def sink(kind: HandKind) -> HandSink:
    return CONTRACTS[kind].need_hand("these tests")


def test_the_posture_tells_fingers_and_joints_apart() -> None:
    assert len(set(INDEX_FIRST.tolist())) == 16


@pytest.mark.parametrize("kind", FAKES)
def test_the_fake_has_the_driver_names(kind: HandKind) -> None:
    assert FAKES[kind].joints == HAND_JOINTS[kind] == hand_driver(DRIVER_OF_KIND[kind]).joints


@pytest.mark.parametrize("kind", FAKES)
def test_the_contract_hears_the_driver_and_allows_the_posture(kind: HandKind) -> None:
    contract, driver = CONTRACTS[kind], hand_driver(DRIVER_OF_KIND[kind])
    stream = contract.streams[contract.hand_stream or ""]
    assert (sink(kind).kind, stream.topic) == (kind, driver.states_topic)
    assert isinstance(stream, JointStream)
    assert stream.joints == driver.joints == sink(kind).joints
    posture = driver.to_driver(INDEX_FIRST)
    assert (np.array(sink(kind).lower_rad) < posture).all()
    assert (np.array(sink(kind).upper_rad) > posture).all()


@pytest.mark.parametrize("kind", FAKES)
def test_a_posture_reaches_the_fingers_that_it_is_meant_for(kind: HandKind) -> None:
    driver, hand = hand_driver(DRIVER_OF_KIND[kind]), FAKES[kind]()
    # As a device publishes it: names and positions in the driver's order; shuffled, because names decide.
    order = np.random.default_rng(1).permutation(16)
    names, positions = np.array(driver.joints)[order].tolist(), driver.to_driver(INDEX_FIRST)[order].tolist()
    hand.take(HAND_MESSAGES[kind](sink(kind), hand_joints(sink(kind), names, positions)))
    assert hand.fingers() == POSTURE


@pytest.mark.parametrize("kind", FAKES)
@pytest.mark.parametrize("posture", ["home", "zeros"])
def test_what_a_hand_reports_is_read_back_by_finger(kind: HandKind, posture: str) -> None:
    driver, positions = hand_driver(DRIVER_OF_KIND[kind]), INDEX_FIRST if posture == "home" else np.zeros(16)
    hand = FAKES[kind](driver.to_driver(positions))
    read = driver.from_driver(hand.joints, hand.positions.tolist())
    assert read is not None
    np.testing.assert_array_equal(read, positions)
    assert (hand.fingers() == POSTURE) == (posture == "home")


@pytest.mark.parametrize(("kind", "wrong"), [("allegro_v4", INDEX_FIRST), ("allegro_v5", None)])
def test_the_order_of_another_family_moves_other_fingers(kind: HandKind, wrong: np.ndarray | None) -> None:
    positions = hand_driver("wonik_v4").to_driver(INDEX_FIRST) if wrong is None else wrong
    hand = FAKES[kind]()
    hand.take(HAND_MESSAGES[kind](sink(kind), positions))
    assert hand.fingers() != POSTURE
    assert all(hand.fingers()[finger] != POSTURE[finger] for finger in FINGERS)


def test_the_v4_controller_refuses_a_part_of_the_hand() -> None:
    hand = WonikV4()
    with pytest.raises(ControllerError, match=r"command size \(12\) does not match"):
        hand.take(HAND_MESSAGES["allegro_v4"](sink("allegro_v4"), INDEX_FIRST[:12]))


def test_the_v4_driver_moves_at_its_activation_and_that_is_within_our_limits() -> None:
    hand = WonikV4()
    hand.activate()
    np.testing.assert_array_equal(hand.positions, INITIAL_V4)
    assert (np.array(sink("allegro_v4").lower_rad) <= INITIAL_V4).all()
    assert hand.fingers()["thumb"] == [0.7, 0.1, 0.0, 0.0]


@pytest.mark.parametrize("kind", ["allegro_v5", "allegro_dime"])
def test_topic_drivers_take_positions_alone(kind: HandKind) -> None:
    hand, message = FAKES[kind](), HAND_MESSAGES[kind](sink(kind), INDEX_FIRST)
    assert list(message.effort) == []
    message.effort = [0.1] * 16
    hand.take(message)
    assert (hand.positions == 0.0).all()
