"""The commander under any input: what it commands, and how it stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import Commander, StoppedError
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.ways import Given, Way, resting

ROBOTS = Path(__file__).parents[2] / "config/robots"
CONTRACT = load_contract(ROBOTS / "xarm_kitchen.yaml")
STEPPING = load_contract(ROBOTS / "xarm7_servo_j.yaml")  # its driver takes one step at a time
STEP = STEPPING.arm.period_ns
# How far a joint gets from rest in a period, j t^3 / 6.
FROM_REST = STEPPING.arm.jerk_rad_s3[6] * (STEP / 1e9) ** 3 / 6
ARM = CONTRACT.arm
READY = np.array([0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0])
PERIOD = ARM.period_ns
SECOND = 1_000_000_000
DOWN = np.array(CONTRACT.reference_rotation)

numbers = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])


def target(x: float, y: float, z: float, gripper: float = 0.0) -> Target:
    return Target(Pose(np.array([x, y, z]), DOWN), gripper)


def run(
    commander: Commander, since_ns: int, seconds: float, *, follow: bool = True, period: int = PERIOD
) -> list:
    """Step at the contract's rate; the measured arm is where it was commanded if `follow`."""
    commands = []
    for now in range(since_ns + period, since_ns + int(seconds * SECOND) + 1, period):
        command = commander.step(now)
        if command is not None:
            commands.append(command)
            commander.observe(command.joints if follow else READY, now)
    return commands


def joints_of(commands: list) -> np.ndarray:
    """Return the commanded joints (N, 7), after four of standing still at the start."""
    return np.array([*[READY] * 4, *(command.joints for command in commands)])


def commands_of_jog(commander: Commander, period: int = PERIOD) -> list:
    """Return the commands of half a second in which joint 7 is jogged, which goes on."""
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, 9 * SECOND)
    return run(commander, 0, 0.5, period=period)


def jogged(commander: Commander, period: int = PERIOD) -> np.ndarray:
    """Return the joints (7,) of the last of these commands."""
    return commands_of_jog(commander, period)[-1].joints


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


events = st.lists(
    st.one_of(
        st.tuples(st.just("aim"), st.lists(numbers, min_size=8, max_size=8), st.integers(-SECOND, SECOND)),
        st.tuples(
            st.just("near"),
            st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8),
            st.integers(-PERIOD, SECOND),
        ),
        st.tuples(
            st.just("jog"), st.lists(numbers | st.floats(-3.0, 3.0), min_size=8, max_size=8), st.just(0)
        ),
        st.tuples(st.sampled_from(["hold", "stop", "rearm", "clear", "off"]), st.none(), st.just(0)),
    ),
    min_size=1,
    max_size=10,
)
waits = st.sampled_from([PERIOD] * 6 + [0, 1, -PERIOD, PERIOD // 3, 3 * PERIOD, 2 * SECOND])
# How long a command is held up between its decision and its sending, and every how many commands.
delays = st.tuples(st.sampled_from([0, PERIOD // 2, 4 * PERIOD, 6 * PERIOD, 2 * SECOND]), st.integers(1, 9))


def apply(commander: Commander, event: tuple, last: np.ndarray, now: int) -> None:
    name, values, ahead = event
    if name == "aim":
        commander.aim(Target(Pose(np.array(values[:3]), np.array(values[3:7])), values[7]), now + ahead)
    elif name == "near":
        pose = Pose(np.array([0.4, 0.0, 0.3]) + values[:3], DOWN + values[3:7])
        commander.aim(Target(pose, values[7]), now + ahead)
    elif name == "jog":
        commander.jog(values[:7], values[7], now + SECOND)
    elif name in ("hold", "clear"):
        getattr(commander, name)()
    elif name == "stop":
        commander.stop("asked to")
    elif name == "rearm":
        commander.rearm(last, now)
    elif name == "off":  # the arm is not where it is commanded to be, and stays there
        commander.observe(last + 0.2, now)
        commander.observe(last + 0.2, now + SECOND)


@settings(deadline=None, max_examples=60)
@given(events=st.lists(st.tuples(events, waits, st.integers(1, 25), delays), min_size=1, max_size=4))
def test_no_command_exceeds_a_limit_whatever_is_asked_for_and_when(events: list) -> None:
    assert limits_broken(CONTRACT, events) == [()]


@settings(deadline=None, max_examples=60)
@given(events=st.lists(st.tuples(events, waits, st.integers(1, 25), delays), min_size=1, max_size=4))
def test_no_limit_is_exceeded_either_where_the_arm_does_not_brake_itself(events: list) -> None:
    assert set(limits_broken(STEPPING, events)) == {()}


def limits_broken(contract: Contract, events: list) -> list[tuple[str, ...]]:
    """Return the limits that each part of the arm's way broke."""
    commander, now = Commander(contract), 0
    commander.start(READY, now)
    way = Way(contract.arm, resting(READY))
    for asked, wait, times, (delay, every) in events:
        for event in asked:
            apply(commander, event, way.here(now), now)
        for n in range(times):
            now += wait
            commander.observe(way.here(now), now)
            command = commander.step(now)
            if command is None:
                continue
            now += delay if n % every == 0 else 0
            if not commander.may_send(command, now):
                continue
            way.go(Given(now, command.joints, command.braking))
            assert 0.0 <= command.target.gripper <= 1.0
    return [audit(contract, part).violations for part in way.parts]


@given(far=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
@settings(deadline=None, max_examples=30)
def test_first_command_is_near_the_measured_joints_however_far_the_target(far: tuple) -> None:
    commander = Commander(CONTRACT)
    commander.start(READY, 0)
    commander.aim(target(*far), 1)
    command = commander.step(PERIOD)
    assert command is not None
    assert np.abs(command.joints - READY).max() <= ARM.first_target_within_rad


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


def test_late_step_moves_no_farther_than_one_period(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.2), 1)
    commander.observe(READY, SECOND)
    command = commander.step(SECOND)
    assert command is not None
    moved = np.linalg.norm(command.target.pose.position - commander.forward(READY).position)
    assert moved <= ARM.speed_m_s * PERIOD / SECOND * 1.02


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


def test_an_arm_that_stands_after_a_pause_is_not_braked(stepping: Commander) -> None:
    last = jogged(stepping, STEP)
    for command in stepping.finish(2 * SECOND):
        np.testing.assert_array_equal(command.joints, last)


def test_an_arm_that_has_braked_itself_is_not_sent_back(commander: Commander) -> None:
    rest = commands_of_jog(commander)[-1].braking[-1]
    for command in commander.finish(2 * SECOND):
        np.testing.assert_array_equal(command.joints, rest)


def test_clearing_in_mid_motion_brings_the_arm_to_rest(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.3), 1)
    moving = run(commander, 0, 0.5)
    commander.clear()
    last = run(commander, SECOND // 2, 1.0)
    assert audit(CONTRACT, joints_of([*moving, *last])).violations == ()
    np.testing.assert_allclose(last[-1].joints, last[-2].joints, atol=1e-9)


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


def test_finishing_before_the_first_command_commands_nothing(commander: Commander) -> None:
    assert commander.finish() == ()


def test_rearming_after_a_pause_in_mid_motion_begins_at_rest_where_the_arm_is(commander: Commander) -> None:
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, 9 * SECOND)
    run(commander, 0, 0.5)
    commander.rearm(READY + 0.3, 2 * SECOND)
    command = commander.step(2 * SECOND + PERIOD)
    assert command is not None
    np.testing.assert_allclose(command.joints, READY + 0.3)
