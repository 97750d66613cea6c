"""The runner, from samples to commands, in invented time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.commander import ArmCommand, StoppedError
from dynamo_ros.core.runner import Runner, RunnerError
from policy_fixtures import CONTRACT, READY, SECOND, Tiny, driving_to, samples_at

TASK = "put_yogurt"
STEP = CONTRACT.arm.period_ns
PERIOD = CONTRACT.period_ns
START = 10 * SECOND
GOAL = (0.45, 0.1, 0.3)


def begun(bundle: Tiny, at_ns: int = START) -> Runner:
    runner = Runner(bundle, clock_ns=itertools.count().__next__)
    for sample in samples_at(at_ns):
        runner.push(sample)
    runner.begin(TASK, at_ns)
    return runner


def drive(
    runner: Runner, seconds: float, *, since_ns: int = START, without: str | None = None, delay_ns: int = 0
) -> list[ArmCommand]:
    """Run in steps of the command period; the arm follows its commands, plans come `delay_ns` late."""
    commands: list[ArmCommand] = []
    waiting = []
    for now in range(since_ns + STEP, since_ns + int(seconds * SECOND) + 1, STEP):
        joints = commands[-1].joints if commands else READY
        for sample in samples_at(now, joints, without=without):
            runner.push(sample)
        if (work := runner.due(now)) is not None:
            waiting.append((now + delay_ns, runner.infer(work)))
        while waiting and waiting[0][0] <= now:
            runner.accept(waiting.pop(0)[1], now)
        if (command := runner.command(now)) is not None:
            commands.append(command)
    return commands


def test_arm_is_driven_to_where_the_policy_says() -> None:
    commands = drive(begun(driving_to(GOAL, gripper=1.0)), 2.0)
    assert len(commands) == 2 * CONTRACT.arm.rate_hz
    assert np.abs(commands[-1].target.pose.position - GOAL).max() < 2e-3
    assert [command.gripper for command in commands if command.gripper is not None] == [
        CONTRACT.gripper.closed
    ]


def test_first_command_is_the_measured_pose() -> None:
    commands = drive(begun(driving_to(GOAL)), 0.04)
    assert np.abs(commands[0].joints - READY).max() < 1e-3


def test_ticks_lie_on_multiples_of_the_period_and_wait_until_settled() -> None:
    runner = begun(driving_to(GOAL), START + 1)
    tick = START + PERIOD
    assert runner.due(tick) is None
    assert runner.due(tick + CONTRACT.settle_ns - 1) is None
    work = runner.due(tick + CONTRACT.settle_ns)
    assert work is not None
    assert work.observation.tick_ns == tick
    assert runner.due(tick + CONTRACT.settle_ns) is None


def test_late_inference_takes_the_newest_tick_and_counts_the_skipped() -> None:
    runner = begun(driving_to(GOAL))
    assert runner.due(START + CONTRACT.settle_ns) is not None
    work = runner.due(START + 4 * PERIOD + CONTRACT.settle_ns)
    assert work is not None
    assert work.observation.tick_ns == START + 4 * PERIOD
    assert runner.counts.skipped == 3


def test_window_starts_with_the_first_frame_repeated_and_fills_skipped_ticks() -> None:
    bundle = driving_to(GOAL, window=4)
    runner = begun(bundle)
    for tick in (START, START + PERIOD, START + 3 * PERIOD):
        for sample in samples_at(tick):
            runner.push(sample)
        work = runner.due(tick + CONTRACT.settle_ns)
        assert work is not None
        runner.infer(work)
    first, second, last = (
        samples_at(tick)[2].value[0, 0, 0] for tick in (START, START + PERIOD, START + 3 * PERIOD)
    )
    assert [list(window[:, 0]) for window in bundle.policy.shown] == [
        [first] * 4,
        [first, first, first, second],
        [first, second, second, last],
    ]


def test_stale_camera_holds_the_arm_and_then_stops_it() -> None:
    runner = begun(driving_to(GOAL))
    drive(runner, 0.3)
    holding = drive(runner, 0.6, since_ns=START + 3 * SECOND // 10, without="wrist")
    assert runner.stopped is None
    assert np.array_equal(holding[-1].joints, holding[-10].joints)
    drive(runner, 0.5, since_ns=START + 9 * SECOND // 10, without="wrist")
    assert runner.stopped is not None
    assert runner.stopped.kind == "stale"
    assert "wrist" in runner.stopped.text


def test_arm_goes_on_when_a_stale_camera_comes_back() -> None:
    runner = begun(driving_to(GOAL))
    drive(runner, 0.3)
    drive(runner, 0.4, since_ns=START + 3 * SECOND // 10, without="wrist")
    commands = drive(runner, 2.0, since_ns=START + 7 * SECOND // 10)
    assert runner.counts.stale > 0
    assert np.abs(commands[-1].target.pose.position - GOAL).max() < 2e-3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_action_latches_the_stop(bad: float) -> None:
    bundle = driving_to(GOAL)
    bundle.policy.chunk[3, 1] = bad
    runner = begun(bundle)
    commands = drive(runner, 1.0)
    assert runner.stopped is not None
    assert runner.stopped.kind == "non_finite"
    assert commands[-1].clipped == ("stop",)
    with pytest.raises(StoppedError, match="re-arm"):
        runner.begin(TASK, START + SECOND)


def test_stopped_runner_goes_on_after_rearming_and_a_new_beginning() -> None:
    runner = begun(driving_to(GOAL))
    drive(runner, 0.5)
    runner.stop("asked to")
    halt = drive(runner, 0.5, since_ns=START + SECOND // 2)
    assert {command.clipped for command in halt} == {("stop",)}
    runner.rearm()
    assert drive(runner, 0.1, since_ns=START + SECOND) == []
    runner.begin(TASK, START + 11 * SECOND // 10)
    assert len(drive(runner, 0.1, since_ns=START + 11 * SECOND // 10)) == 5


def test_rearming_while_nothing_is_stopped_is_refused_and_changes_nothing() -> None:
    runner = begun(driving_to(GOAL))
    drive(runner, 0.5)
    with pytest.raises(RunnerError, match="nothing is stopped"):
        runner.rearm()
    assert len(drive(runner, 0.1, since_ns=START + SECOND // 2)) == 5


def test_plan_whose_targets_are_all_past_is_dropped() -> None:
    runner = begun(driving_to(GOAL))
    drive(runner, 1.5, delay_ns=11 * PERIOD)
    assert runner.counts.late > 0
    assert runner.counts.planned == 0


def test_late_plan_with_targets_ahead_still_counts() -> None:
    runner = begun(driving_to(GOAL))
    commands = drive(runner, 3.0, delay_ns=2 * PERIOD)
    assert runner.counts.late == 0
    assert np.abs(commands[-1].target.pose.position - GOAL).max() < 2e-3


def test_plan_of_an_earlier_episode_is_dropped() -> None:
    runner = begun(driving_to(GOAL))
    work = runner.due(START + CONTRACT.settle_ns)
    assert work is not None
    plan = runner.infer(work)
    runner.finish()
    runner.begin(TASK, START + CONTRACT.settle_ns)
    runner.accept(plan, START + PERIOD)
    assert runner.counts.planned == 0


def test_nothing_is_commanded_before_and_after_an_episode() -> None:
    runner = begun(driving_to(GOAL))
    runner.finish()
    assert drive(runner, 0.5) == []


def test_beginning_without_a_fresh_arm_is_refused() -> None:
    runner = Runner(driving_to(GOAL), clock_ns=itertools.count().__next__)
    with pytest.raises(RunnerError, match=r"no joint positions.*/xarm/joint_states"):
        runner.begin(TASK, START)
    for sample in samples_at(START):
        runner.push(sample)
    with pytest.raises(RunnerError, match=r"200 ms old; at most 100 ms"):
        runner.begin(TASK, START + SECOND // 5)


def test_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'put_yogurt'"):
        begun(driving_to(GOAL)).begin("put_yoghurt", START)


def test_stages_are_timed() -> None:
    runner = begun(driving_to(GOAL))
    drive(runner, 1.0)
    summary = runner.timings.summary()
    assert list(summary) == ["align", "handoff", "encode", "policy", "shape", "age", "command age"]
    assert summary.pop("command age").longest_ms * 1e6 < CONTRACT.budget_ns
    assert all(duration.samples == runner.counts.planned for duration in summary.values())
