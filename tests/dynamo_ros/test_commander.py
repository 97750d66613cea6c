"""The commander: what it commands, and how it stops."""

from __future__ import annotations

import numpy as np
import pytest

from commander_fixtures import ARM, CONTRACT, PERIOD, READY, SECOND, joints_of, run, target
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import Commander, StoppedError
from dynamo_ros.core.limit_audit import audit


@pytest.fixture
def commander() -> Commander:
    made = Commander(CONTRACT)
    made.start(READY, 0)
    return made


def test_arm_elsewhere_than_the_start_latches_the_stop_at_the_first_command(commander: Commander) -> None:
    commander.observe(READY + 0.14, 1)
    commander.aim(target(0.4, 0.0, 0.3), PERIOD)
    command = commander.step(PERIOD)
    assert commander.stopped is not None
    assert commander.stopped.kind == "first_target"
    assert command is None  # nothing was sent, so nothing has to end


def test_a_target_is_approached_in_time_and_reached_softly(commander: Commander) -> None:
    start = commander.forward(READY)
    goal = start.position + np.array([0.02, -0.03, -0.02])
    commander.aim(Target(Pose(goal, start.quaternion), 0.0), SECOND // 2)
    positions = [command.target.pose.position for command in run(commander, 0, 0.8)]
    # It lags by a few hundredths of a second where it moves, and not at all in the end.
    way = np.linalg.norm(goal - start.position)
    assert 0.35 * way < np.linalg.norm(positions[11] - start.position) < 0.55 * way
    np.testing.assert_allclose(positions[-1], goal, atol=1e-4)


def test_far_target_is_approached_at_the_speed_limit(commander: Commander) -> None:
    commander.aim(target(0.5, 0.4, 0.2), 1)
    commands = run(commander, 0, 2.0)
    positions = np.array([command.target.pose.position for command in commands])
    speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) * SECOND / PERIOD
    assert 0.95 * ARM.speed_m_s < speeds.max() <= ARM.speed_m_s * 1.1
    assert any("speed" in command.clipped for command in commands)
    np.testing.assert_allclose(positions[-1], [0.5, 0.4, 0.2], atol=2e-3)


def test_target_outside_the_workspace_is_clamped_and_named(commander: Commander) -> None:
    commander.aim(target(0.4, 0.0, -1.0), 1)
    commands = run(commander, 0, 2.0)
    assert commands[-1].clipped == ("workspace",)
    assert commands[-1].target.pose.position[2] == pytest.approx(ARM.workspace_lower_m[2], abs=2e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_target_latches_the_stop(commander: Commander, bad: float) -> None:
    commander.aim(target(0.5, 0.0, 0.3), 1)
    run(commander, 0, 0.2)
    commander.aim(target(bad, 0.0, 0.3), PERIOD)
    assert commander.stopped is not None
    assert commander.stopped.kind == "non_finite"
    assert all(command.gripper is None for command in run(commander, SECOND // 5, 0.4))
    assert commander.step(SECOND) is None


def test_a_stop_brakes_as_fast_as_the_limits_allow_and_then_is_silent(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.2), 1)
    moving = run(commander, 0, 0.5)
    commander.stop("asked to")
    braking = run(commander, SECOND // 2, 2.0)
    assert audit(CONTRACT, joints_of([*moving, *braking])).violations == ()
    assert 3 <= len(braking) <= 0.28 * SECOND / PERIOD + 2  # at worst: tests of worst_stop
    assert {command.clipped for command in braking} == {("stop",)}
    # The last one repeats the one before, so that drivers of velocities stand still too.
    np.testing.assert_allclose(braking[-1].joints, braking[-2].joints, atol=1e-9)


def test_a_stop_at_rest_is_one_more_command_of_the_same_joints(commander: Commander) -> None:
    run(commander, 0, 0.1)
    commander.stop("asked to")
    (last,) = run(commander, SECOND, 1.0)
    np.testing.assert_array_equal(last.joints, READY)


def test_a_stop_for_pressing_on_something_yields_softly_to_where_the_arm_is(commander: Commander) -> None:
    commander.aim(target(0.6, 0.0, 0.3), 1)
    commands = []
    for now in range(PERIOD, 2 * SECOND, PERIOD):
        command = commander.step(now)
        commands += [] if command is None else [command]
        commander.observe(READY, now)  # it can't move
    assert commander.stopped is not None
    assert commander.stopped.kind == "tracking"
    assert max(np.abs(command.joints - READY).max() for command in commands) > ARM.tracking_stop_rad
    np.testing.assert_allclose(commands[-1].joints, READY, atol=1e-6)
    assert audit(CONTRACT, joints_of(commands)).violations == ()


def test_braking_goes_on_after_the_stop_was_cleared(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.2), 1)
    moving = run(commander, 0, 0.5)
    commander.stop("asked to")
    commander.clear()
    braking = run(commander, SECOND // 2, 1.0)
    assert len(braking) > 3
    assert audit(CONTRACT, joints_of([*moving, *braking])).violations == ()


def test_starting_anew_in_mid_braking_makes_no_jump(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.2), 1)
    moving = run(commander, 0, 0.5)
    commander.stop("asked to")
    moving += run(commander, SECOND // 2, 0.04)
    commander.rearm(moving[-1].joints, 540_000_000)
    commander.aim(target(0.4, -0.4, 0.2), 1)
    again = run(commander, 540_000_000, 1.0)
    assert audit(CONTRACT, joints_of([*moving, *again])).violations == ()


def test_only_rearming_clears_the_stop(commander: Commander) -> None:
    commander.stop("asked to")
    commander.aim(target(0.4, 0.0, 0.3), PERIOD)
    with pytest.raises(StoppedError, match=r"asked to.*re-arm"):
        commander.start(READY, PERIOD)
    commander.rearm(READY, PERIOD)
    assert commander.stopped is None
    assert commander.step(2 * PERIOD) is not None


def test_lasting_tracking_error_stops_and_a_short_one_does_not(commander: Commander) -> None:
    off = READY + np.array([0.2, 0, 0, 0, 0, 0, 0])
    commander.observe(off, 0)
    commander.observe(READY, SECOND // 4)
    commander.observe(off, SECOND // 2)
    assert commander.stopped is None
    commander.observe(off, SECOND)
    assert commander.stopped is not None
    assert commander.stopped.kind == "tracking"


def test_stale_joint_positions_hold_and_then_stop(commander: Commander) -> None:
    commander.aim(target(0.6, 0.0, 0.3), SECOND)
    holding = [commander.step(now) for now in range(120_000_000, 480_000_000, PERIOD)]
    assert all(np.array_equal(command.joints, READY) for command in holding if command is not None)
    assert commander.stopped is None
    commander.step(520_000_000)
    assert commander.stopped is not None
    assert commander.stopped.kind == "stale"


def test_joint_positions_of_before_a_clock_went_back_stop_as_old_ones_do(commander: Commander) -> None:
    commander.start(READY, 9 * SECOND)
    commander.aim(target(0.5, 0.2, 0.3), 10 * SECOND)
    run(commander, 9 * SECOND, 0.2)
    for now in range(0, SECOND, PERIOD):
        commander.step(now)
    assert commander.stopped is not None
    assert commander.stopped.kind == "stale"
    assert "a clock went back" in commander.stopped.text


def test_nothing_is_commanded_before_the_start_and_after_the_finish(commander: Commander) -> None:
    assert Commander(CONTRACT).step(PERIOD) is None
    commander.finish()
    assert commander.step(PERIOD) is None


def test_gripper_goals_come_on_change_only_with_hysteresis_and_rate(commander: Commander) -> None:
    goals = {}
    for i, wish in enumerate([0.5, 0.5, 0.9, 0.5, 0.9, 0.1, 0.5] + [0.1] * 40):
        now = (i + 1) * PERIOD
        commander.aim(target(0.4, 0.0, 0.3, wish), now)
        command = commander.step(now)
        assert command is not None
        commander.observe(command.joints, now)
        if command.gripper is not None:
            goals[now] = command.gripper
    interval = SECOND / CONTRACT.gripper.rate_hz
    assert list(goals.values()) == [CONTRACT.gripper.closed, CONTRACT.gripper.open]
    assert np.diff(list(goals)) >= interval


def test_finishing_brings_the_arm_to_rest(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.3), 1)
    moving = run(commander, 0, 0.5)
    last = commander.finish()
    assert audit(CONTRACT, joints_of([*moving, *last])).violations == ()
    np.testing.assert_allclose(last[-1].joints, last[-2].joints, atol=1e-9)
    assert commander.finish() == ()
    assert commander.step(SECOND) is None


def test_clearing_in_mid_motion_brings_the_arm_to_rest(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.3), 1)
    moving = run(commander, 0, 0.5)
    commander.clear()
    last = run(commander, SECOND // 2, 1.0)
    assert audit(CONTRACT, joints_of([*moving, *last])).violations == ()
    np.testing.assert_allclose(last[-1].joints, last[-2].joints, atol=1e-9)


def test_finishing_before_the_first_command_commands_nothing(commander: Commander) -> None:
    assert commander.finish() == ()
