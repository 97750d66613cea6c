"""The age of what a command rests on."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from dynamo_policies.timing import TimingLimits
from dynamo_ros.core.budget import Budget
from dynamo_ros.core.runner import Runner
from policy_fixtures import CONTRACT, READY, SECOND, driving_to, samples_at

MS = 1_000_000
START, STEP = 10 * SECOND, CONTRACT.arm.period_ns
GOAL = (0.45, 0.1, 0.3)


def test_a_plan_counts_from_its_oldest_image() -> None:
    budget = Budget(100)
    budget.observe(1000, {"fixed": 990, "wrist": 950})
    assert not budget.take(1000, 1051)
    assert budget.age_ns(1051) is None
    assert budget.take(1000, 1050)
    assert budget.age_ns(1050) == 100
    assert not budget.over(1050)
    assert budget.over(1051)


def test_an_older_plan_that_comes_after_counts_from_its_tick() -> None:
    budget = Budget(100)
    budget.observe(1000, {"fixed": 990})
    assert not budget.take(900, 1001)
    assert budget.take(950, 1001)
    assert budget.age_ns(1001) == 51


def begun(budget_ms: float) -> Runner:
    bundle = driving_to(GOAL)
    bundle.contract = dataclasses.replace(CONTRACT, timing=TimingLimits(capture_to_command_ms=budget_ms))
    runner = Runner(bundle, clock_ns=itertools.count().__next__)
    for sample in samples_at(START):
        runner.push(sample)
    runner.begin("put_yogurt", START)
    return runner


def test_arm_holds_once_what_it_acts_upon_is_older_than_the_budget() -> None:
    runner = begun(budget_ms=250.0)
    joints, moved_at = READY, []
    for now in range(START + STEP, START + SECOND, STEP):
        for sample in samples_at(now, joints):
            runner.push(sample)
        work = runner.due(now) if now < START + 100 * MS else None
        if work is not None:
            runner.accept(runner.infer(work), now)
        command = runner.command(now)
        if command is not None:
            moved_at += [now] if np.abs(command.joints - joints).max() > 1e-9 else []
            joints = command.joints
    # The one plan rests on images stamped at START; braking takes a little longer.
    assert moved_at
    assert START + 200 * MS < moved_at[-1] <= START + 500 * MS


def test_plan_that_comes_later_than_the_budget_is_dropped_and_counted() -> None:
    runner = begun(budget_ms=150.0)
    work = runner.due(START + 30 * MS)
    assert work is not None
    plan = runner.infer(work)
    runner.accept(plan, START + 151 * MS)
    assert (runner.counts.late, runner.counts.planned) == (1, 0)
    runner.accept(plan, START + 150 * MS)
    assert (runner.counts.late, runner.counts.planned) == (1, 1)
