"""Commands to a hand: what they never exceed, and what stops hand and arm together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.chunks import mean_target
from dynamo_ros.core.commander import ArmCommand, Commander
from dynamo_ros.core.hand_limiter import HandError, HandLimiter
from dynamo_ros.core.hand_target import HandTargetError, hand_joints
from dynamo_ros.core.ik import NOMINAL_RAD
from dynamo_ros.core.limit_audit import audit_hand
from dynamo_ros.core.teleoperation import Teleoperation

ALLEGRO = load_contract(Path(__file__).parents[2] / "config" / "robots" / "allegro_manipulation.yaml")
SINK = ALLEGRO.need_hand("these tests")
LOWER, UPPER, STEP = (np.array(limit) for limit in (SINK.lower_rad, SINK.upper_rad, SINK.step_rad))
MIDDLE = (LOWER + UPPER) / 2
PERIOD_NS = SINK.period_ns
ARM = np.array([0.0, -0.4, 0.0, 0.9, 0.0, 1.3, 0.0])
joints = st.lists(st.floats(-10.0, 10.0), min_size=16, max_size=16).map(np.array)


def started(measured: np.ndarray = MIDDLE) -> HandLimiter:
    limiter = HandLimiter(SINK)
    limiter.observe(measured, 0)
    limiter.start(0)
    return limiter


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(joints, st.integers(0, 60_000_000), st.integers(-50, 200)), max_size=30))
def test_no_command_exceeds_position_step_or_velocity(moves: list[tuple[np.ndarray, int, int]]) -> None:
    limiter, last, last_ns, now_ns = started(), MIDDLE, 0, 0
    for goal, elapsed_ns, ahead_ms in moves:
        now_ns += elapsed_ns
        limiter.observe(MIDDLE, now_ns)
        limiter.aim(goal, now_ns + ahead_ms * 1_000_000)
        command = limiter.step(now_ns).joints
        if command is None:
            continue
        assert (command >= LOWER - 1e-9).all()
        assert (command <= UPPER + 1e-9).all()
        most = np.minimum(STEP, np.array(SINK.velocity_rad_s) * max(now_ns - last_ns, 0) / 1e9)
        assert (np.abs(command - last) <= most + 1e-9).all()
        last, last_ns = command, now_ns


def test_a_command_that_was_not_sent_is_not_counted() -> None:
    limiter = started()
    limiter.aim(MIDDLE + 0.5, 0)
    sent = limiter.step(PERIOD_NS).joints
    assert limiter.step(2 * PERIOD_NS).joints is not None
    limiter.take_back()
    again = limiter.step(9 * PERIOD_NS).joints
    assert sent is not None
    assert again is not None
    assert (np.abs(again - sent) <= STEP + 1e-9).all()


def test_a_hand_is_at_its_target_when_it_was_asked_to_be() -> None:
    limiter, goal = started(), MIDDLE + 0.1
    limiter.aim(goal, 5 * PERIOD_NS)
    path = [limiter.step(number * PERIOD_NS).joints for number in range(1, 6)]
    np.testing.assert_allclose(np.diff([MIDDLE, *path], axis=0), 0.02, atol=1e-9)  # type: ignore[list-item]


def test_a_far_target_is_approached_a_step_at_a_time_and_told() -> None:
    limiter = started()
    limiter.aim(UPPER + 1.0, 0)
    command, clipped = limiter.step(PERIOD_NS)
    assert command is not None
    most = np.minimum(np.minimum(STEP, 7.0 / SINK.rate_hz), UPPER - MIDDLE)
    np.testing.assert_allclose(command - MIDDLE, most, atol=1e-9)
    assert "position of ah_joint00" in clipped
    assert "step of ah_joint10" in clipped


def test_nothing_is_commanded_before_the_hand_was_measured() -> None:
    limiter = HandLimiter(SINK)
    limiter.start(0)
    limiter.aim(MIDDLE, 0)
    assert limiter.step(PERIOD_NS).joints is None
    limiter.observe(np.full(16, np.nan), PERIOD_NS)
    assert limiter.step(2 * PERIOD_NS).joints is None
    limiter.observe(MIDDLE, 2 * PERIOD_NS)
    np.testing.assert_array_equal(limiter.step(3 * PERIOD_NS).joints, MIDDLE)


def test_a_posture_a_whole_turn_outside_the_limits_counts_as_not_measured() -> None:
    limiter = HandLimiter(SINK)
    limiter.start(0)
    limiter.aim(MIDDLE, 0)
    limiter.observe(np.degrees(MIDDLE), PERIOD_NS)
    assert limiter.step(2 * PERIOD_NS).joints is None
    limiter.observe(UPPER + 1.0, 2 * PERIOD_NS)
    command = limiter.step(3 * PERIOD_NS).joints
    np.testing.assert_allclose(command, UPPER + 1.0, atol=0.2)


def test_a_slower_hand_is_told_less_often_than_its_arm() -> None:
    limiter = HandLimiter(replace(SINK, rate_hz=25.0))
    limiter.observe(MIDDLE, 0)
    limiter.start(0)
    limiter.aim(MIDDLE, 0)
    told = [limiter.step(number * 20_000_000).joints is not None for number in range(1, 9)]
    assert told == [True, False] * 4


def test_a_hand_does_not_begin_at_a_reading_that_is_too_old() -> None:
    limiter, late_ns = started(), 51 * SINK.period_ns
    limiter.aim(MIDDLE + 0.1, late_ns)
    assert limiter.step(late_ns).joints is None
    limiter.observe(MIDDLE + 0.2, late_ns)
    command = limiter.step(late_ns + PERIOD_NS).joints
    np.testing.assert_allclose(command, MIDDLE + 0.2, atol=0.1)


def test_a_clock_that_goes_back_does_not_keep_a_hand_from_its_commands() -> None:
    limiter = started()
    limiter.observe(MIDDLE, 10**12)
    limiter.aim(MIDDLE + 0.1, 10**12)
    assert limiter.step(10**12).joints is not None
    limiter.observe(MIDDLE, 0)
    held, after = limiter.step(0).joints, limiter.step(PERIOD_NS).joints
    assert held is not None
    assert after is not None
    assert audit_hand(SINK, [held, after]).violations == ()


def test_a_reading_from_before_the_clock_went_back_is_none() -> None:
    limiter = started()
    limiter.observe(MIDDLE, 10**12)
    limiter.aim(MIDDLE, 10**12)
    limiter.step(10**12)
    with pytest.raises(HandError, match="no new joint positions of the hand"):
        limiter.step(0)


@pytest.mark.parametrize("bad", [np.full(16, np.nan), np.zeros(15), np.append(np.zeros(15), np.inf)])
def test_a_target_that_is_no_posture_is_an_error(bad: np.ndarray) -> None:
    limiter = started()
    limiter.aim(bad, 0)
    with pytest.raises(HandError, match="target of the hand is no 16 finite numbers"):
        limiter.step(PERIOD_NS)


def commander() -> Commander:
    made = Commander(ALLEGRO)
    made.observe_hand(MIDDLE, 0)
    made.start(ARM, 0)
    return made


def run(made: Commander, target: Target, periods: int, *, first: int = 1, hand: bool = True) -> int:
    """Aim at `target` for `periods`, with arm and hand where they were started; return the next period."""
    for number in range(first, first + periods):
        now_ns = number * PERIOD_NS
        made.observe(ARM, now_ns)
        if hand:
            made.observe_hand(MIDDLE, now_ns)
        made.aim(target, now_ns)
        made.step(now_ns)
    return first + periods


def still(hand: np.ndarray | None) -> Target:
    return Target(Commander(ALLEGRO).forward(ARM), 0.0, hand)


def test_arm_and_hand_are_commanded_together() -> None:
    made = commander()
    made.aim(still(MIDDLE + 0.04), PERIOD_NS)
    command = made.step(PERIOD_NS)
    assert command is not None
    np.testing.assert_allclose(command.hand, MIDDLE + 0.04, atol=1e-9)
    np.testing.assert_array_equal(command.target.hand, command.hand)
    assert command.gripper is None


def test_a_bad_target_of_the_hand_stops_the_arm_too() -> None:
    made = commander()
    made.aim(still(MIDDLE + 0.04), PERIOD_NS)
    made.step(PERIOD_NS)
    made.aim(still(np.full(16, np.nan)), 2 * PERIOD_NS)
    commands = [made.step(number * PERIOD_NS) for number in range(2, 40)]
    assert made.stopped is not None
    assert made.stopped.kind == "hand"
    sent = [command for command in commands if command is not None]
    assert sent
    for command in sent:
        assert command.clipped == ("stop",)
        np.testing.assert_allclose(command.hand, MIDDLE, atol=1e-9)
        np.testing.assert_allclose(command.joints, ARM, atol=0.01)
    assert commands[-1] is None


def test_a_bad_first_target_commands_nothing() -> None:
    made = commander()
    made.aim(still(np.full(16, np.nan)), PERIOD_NS)
    assert made.step(PERIOD_NS) is None
    assert made.stopped is not None


def pressing() -> tuple[Commander, np.ndarray, int]:
    """Return a commander whose hand presses with all fingers, its last command, and the next period."""
    made, goal = commander(), np.minimum(MIDDLE + 0.5, UPPER)
    after = run(made, still(goal), 100)
    last = made.step(after * PERIOD_NS)
    assert last is not None
    assert last.hand is not None
    assert (last.hand - MIDDLE).max() > 0.3
    return made, last.hand, after + 1


def hands(commands: Iterable[ArmCommand | None]) -> list[np.ndarray]:
    return [command.hand for command in commands if command is not None and command.hand is not None]


def test_a_stop_leads_pressing_fingers_to_where_they_are_within_their_limits() -> None:
    made, last, after = pressing()
    made.stop("asked for")
    # What is measured meanwhile does not count: a hand that sags under its load would sink on and on.
    readings = [MIDDLE - 0.01 * number for number in range(40)]
    sent = []
    for number, measured in enumerate(readings, start=after):
        sent += hands([made.step(number * PERIOD_NS)])
        made.observe_hand(measured, number * PERIOD_NS)
    assert audit_hand(SINK, [last, *sent]).violations == ()
    np.testing.assert_allclose(sent[-1], MIDDLE, atol=1e-9)


def test_the_end_of_an_episode_leads_them_there_as_well() -> None:
    made, last, _ = pressing()
    sent = hands(made.finish())
    assert audit_hand(SINK, [last, *sent]).violations == ()
    np.testing.assert_allclose(sent[-1], MIDDLE, atol=1e-9)


def test_a_command_that_a_stop_came_before_does_not_count() -> None:
    made, last, after = pressing()
    ahead, since_ns = UPPER, (after + 30) * PERIOD_NS
    made.aim(still(ahead), since_ns)
    made.observe_hand(ahead, since_ns)  # the arm was not measured for so long that this step stops
    sent = hands(made.step(since_ns + number * PERIOD_NS) for number in range(20))
    assert made.stopped is not None
    assert made.stopped.kind == "stale"
    np.testing.assert_allclose(sent[-1], ahead, atol=1e-9)
    assert audit_hand(SINK, [last, *sent]).violations == ()


def test_a_hand_that_is_not_measured_stays_where_a_stop_finds_it() -> None:
    made, last, after = pressing()
    sent = hands(made.step((after + number) * PERIOD_NS) for number in range(60))
    assert made.stopped is not None
    assert made.stopped.kind in ("hand", "stale")
    np.testing.assert_array_equal(sent, [last] * len(sent))


def test_fingers_that_press_do_not_stop() -> None:
    made = commander()
    run(made, still(np.minimum(MIDDLE + 0.5, UPPER)), 100)
    assert made.stopped is None


def test_a_hand_that_falls_silent_stops_both() -> None:
    made = commander()
    after = run(made, still(MIDDLE), 5)
    run(made, still(MIDDLE), 30, first=after, hand=False)
    assert made.stopped is not None
    assert "no new joint positions of the hand for 0.5" in made.stopped.text


def test_what_is_grasped_stays_grasped_while_targets_stop() -> None:
    teleoperation = Teleoperation(ALLEGRO)
    teleoperation.observe_hand(MIDDLE, 0)
    teleoperation.observe(ARM, 0)
    commands = []
    for number in range(1, 41):
        now_ns = number * PERIOD_NS
        teleoperation.observe(ARM, now_ns)
        teleoperation.observe_hand(MIDDLE, now_ns)
        if number <= 10:
            teleoperation.aim_hand(MIDDLE + 0.2, now_ns)
        commands.append(teleoperation.step(now_ns))
    assert teleoperation.engagement == "holding"
    last = commands[-1]
    assert last is not None
    np.testing.assert_allclose(last.hand, MIDDLE + 0.2, atol=1e-9)
    np.testing.assert_array_equal(last.joints, ARM)


def test_chunks_average_hands() -> None:
    mean = mean_target([still(MIDDLE), still(MIDDLE + 0.2)])
    np.testing.assert_allclose(mean.hand, MIDDLE + 0.1)
    assert mean_target([still(None)]).hand is None


def test_targets_are_picked_by_name_whatever_their_order() -> None:
    order = np.random.default_rng(0).permutation(16)
    names = [SINK.joints[i] for i in order]
    np.testing.assert_array_equal(hand_joints(SINK, names, MIDDLE[order].tolist()), MIDDLE)
    with pytest.raises(HandTargetError, match=r"names \['joint_0_0'.* is needed once"):
        hand_joints(SINK, ["joint_0_0", *names[1:]], MIDDLE.tolist())


def test_a_robot_without_a_hand_takes_no_target_for_one(contract: Contract) -> None:
    with pytest.raises(HandTargetError, match="the contract has no hand"):
        hand_joints(contract.hand, SINK.joints, MIDDLE.tolist())


def test_the_papers_pair_is_commanded_as_well() -> None:
    franka = load_contract(Path(__file__).parents[2] / "config" / "robots" / "franka_allegro.yaml")
    ready = np.array(NOMINAL_RAD["fr3"])
    made = Commander(franka)
    made.observe_hand(MIDDLE, 0)
    made.start(ready, 0)
    here = made.forward(ready)
    goal = Target(Pose(here.position + np.array([0.0, 0.0, -0.05]), here.quaternion), 0.0, MIDDLE + 0.1)
    joints = ready
    for number in range(1, 60):
        now_ns = number * PERIOD_NS
        made.observe(joints, now_ns)
        made.observe_hand(MIDDLE, now_ns)
        made.aim(goal, now_ns)
        command = made.step(now_ns)
        assert command is not None
        joints = command.joints
    assert made.stopped is None
    np.testing.assert_allclose(made.forward(joints).position, goal.pose.position, atol=2e-3)
    np.testing.assert_allclose(command.hand, MIDDLE + 0.1, atol=1e-9)
