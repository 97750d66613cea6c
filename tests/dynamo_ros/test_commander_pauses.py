"""The commander where calls come unevenly, or commands fail to come."""

from __future__ import annotations

import numpy as np
import pytest

from commander_fixtures import (
    ARM,
    CONTRACT,
    FROM_REST,
    PERIOD,
    READY,
    SECOND,
    STEP,
    STEPPING,
    commands_of_jog,
    jogged,
    joints_of,
    run,
    target,
)
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.limit_audit import audit


@pytest.fixture
def commander() -> Commander:
    made = Commander(CONTRACT)
    made.start(READY, 0)
    return made


@pytest.fixture
def stepping() -> Commander:
    """A commander of an arm that stands where commands fail to come."""
    made = Commander(STEPPING)
    made.start(READY, 0)
    return made


def test_a_call_is_worth_one_period_at_most(stepping: Commander) -> None:
    before = jogged(stepping, STEP)[6]
    for late_ns in (3 * STEP, -2 * STEP, STEP):
        now = SECOND // 2 + late_ns
        stepping.observe(READY, now)
        command = stepping.step(now)
        assert command is not None
        assert 0.0 < command.joints[6] - before <= 1.0 * STEP / SECOND + 1e-9
        before = command.joints[6]


def test_calls_in_a_bunch_make_one_command(commander: Commander) -> None:
    commander.aim(target(0.6, 0.0, 0.3), SECOND)
    run(commander, 0, 0.1)
    late = 5 * PERIOD + 2 * PERIOD
    assert commander.step(late) is not None
    assert [commander.step(late + i) for i in range(1, 5)] == [None] * 4
    assert commander.step(late + PERIOD) is not None


def test_after_a_pause_motion_begins_at_rest(stepping: Commander) -> None:
    last = jogged(stepping, STEP)
    stepping.observe(last, 2 * SECOND)
    command = stepping.step(2 * SECOND)
    assert command is not None
    assert 0.0 < command.joints[6] - last[6] <= FROM_REST + 1e-9


def test_a_command_that_finds_the_arm_standing_is_not_sent(stepping: Commander) -> None:
    last = jogged(stepping, STEP)
    held_up = stepping.step(SECOND // 2 + STEP)
    assert held_up is not None
    assert held_up.joints[6] - last[6] > 0.005
    late = SECOND + STEP
    assert not stepping.may_send(held_up, late)
    stepping.observe(last, late)
    command = stepping.step(late + STEP)
    assert command is not None
    assert stepping.may_send(command, late + STEP)
    assert 0.0 < command.joints[6] - last[6] <= FROM_REST + 1e-9


def test_braking_of_a_command_is_what_follows_if_nothing_else_is_asked_for(commander: Commander) -> None:
    jogged(commander)
    command = commander.step(SECOND // 2 + PERIOD)
    assert command is not None
    assert len(command.braking) > 5
    commander.hold()
    for n, expected in enumerate(command.braking):
        following = commander.step(SECOND // 2 + (n + 2) * PERIOD)
        assert following is not None
        np.testing.assert_array_equal(following.joints, expected)
        np.testing.assert_array_equal(following.braking, command.braking[n + 1 :])


@pytest.mark.parametrize("missed", [1, 4, 9, 200])
def test_after_a_pause_an_arm_that_brakes_itself_goes_on_from_where_it_is(
    commander: Commander, missed: int
) -> None:
    before = commands_of_jog(commander)
    now = SECOND // 2 + (missed + 1) * PERIOD
    coasted = [*before[-1].braking, *[before[-1].braking[-1]] * 200][:missed]
    commander.observe(coasted[-1], now)
    after = run(commander, now - PERIOD, 0.4)
    way = np.vstack([joints_of(before), coasted, [one.joints for one in after]])
    assert audit(CONTRACT, way).violations == ()
    assert after[-1].joints[6] > coasted[-1][6] + 0.1


def test_a_command_that_comes_when_the_arm_brakes_already_is_not_sent(commander: Commander) -> None:
    before = commands_of_jog(commander)
    held_up = commander.step(SECOND // 2 + PERIOD)
    assert held_up is not None
    late = SECOND // 2 + 4 * PERIOD
    assert not commander.may_send(held_up, late)
    command = commander.step(late + PERIOD)
    assert command is not None
    way = np.vstack([joints_of(before), before[-1].braking[:4], command.joints])
    assert audit(CONTRACT, way).violations == ()


def test_a_gripper_goal_that_was_not_sent_comes_again(commander: Commander) -> None:
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, 9 * SECOND)
    run(commander, 0, 0.5)
    commander.jog(np.zeros(7), 1.0, 9 * SECOND)
    held_up = commander.step(SECOND // 2 + PERIOD)
    assert held_up is not None
    assert held_up.gripper is not None
    assert not commander.may_send(held_up, SECOND)
    commander.observe(READY, SECOND)
    again = commander.step(SECOND + PERIOD)
    assert again is not None
    assert again.gripper == held_up.gripper


def test_an_arm_that_stands_after_a_pause_is_not_braked(stepping: Commander) -> None:
    last = jogged(stepping, STEP)
    for command in stepping.finish(2 * SECOND):
        np.testing.assert_array_equal(command.joints, last)


def test_an_arm_that_has_braked_itself_is_not_sent_back(commander: Commander) -> None:
    rest = commands_of_jog(commander)[-1].braking[-1]
    for command in commander.finish(2 * SECOND):
        np.testing.assert_array_equal(command.joints, rest)


def test_a_start_long_after_commands_ceased_begins_at_rest_however_often_was_asked(
    commander: Commander,
) -> None:
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, 9 * SECOND)
    run(commander, 0, 0.5)
    commander.stop("a fault of the driver, which takes no command of the braking")
    commander.finish()
    commander.clear()
    assert run(commander, SECOND // 2, 1.0) == []
    commander.rearm(READY + 0.3, 3 * SECOND // 2)
    command = commander.step(3 * SECOND // 2 + PERIOD)
    assert command is not None
    np.testing.assert_allclose(command.joints, READY + 0.3)


def test_rearming_after_a_pause_in_mid_motion_begins_at_rest_where_the_arm_is(commander: Commander) -> None:
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, 9 * SECOND)
    run(commander, 0, 0.5)
    commander.rearm(READY + 0.3, 2 * SECOND)
    command = commander.step(2 * SECOND + PERIOD)
    assert command is not None
    np.testing.assert_allclose(command.joints, READY + 0.3)


def test_late_step_moves_no_farther_than_one_period(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.2), 1)
    commander.observe(READY, SECOND)
    command = commander.step(SECOND)
    assert command is not None
    moved = np.linalg.norm(command.target.pose.position - commander.forward(READY).position)
    assert moved <= ARM.speed_m_s * PERIOD / SECOND * 1.02
