"""One attempt in one process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dynamo_ros.core.rollout import Rollout, rollout
from dynamo_ros.core.runner import Runner
from policy_fixtures import CONTRACT, SECOND, IdealStation, driving_to

GOAL = (0.45, 0.1, 0.3)


def attempt(*, goal: tuple[float, float, float] = GOAL, seed: int = 1, latency_s: float = 0.0) -> Rollout:
    bundle = driving_to(GOAL)
    runner = Runner(bundle, clock_ns=itertools.count().__next__)
    station = IdealStation(goal)
    latency_ns = int(latency_s * SECOND)
    return rollout(station, runner, "put_yogurt", seed, frames=bundle.frames, latency_ns=latency_ns)


def test_attempt_ends_with_success_at_the_goal() -> None:
    result = attempt()
    assert result.success
    assert result.reason == "at the goal"
    assert result.commands.shape == (len(result.stamps_ns), 7)
    assert set(np.diff(result.stamps_ns)) == {CONTRACT.arm.period_ns}


def test_attempt_that_never_arrives_ends_at_the_time_limit() -> None:
    result = attempt(goal=(0.3, -0.3, 0.2))
    assert not result.success
    assert result.reason == "time limit"
    assert result.seconds == pytest.approx(CONTRACT.task("put_yogurt").time_limit_s, abs=0.1)


def test_same_seed_gives_the_same_commands_and_another_seed_others() -> None:
    first, again, other = attempt(seed=1), attempt(seed=1), attempt(seed=2)
    assert np.array_equal(first.commands, again.commands)
    assert not np.array_equal(first.commands[0], other.commands[0])


def test_latency_skips_ticks_and_delays_success() -> None:
    quick, slow = attempt(), attempt(latency_s=0.15)
    assert quick.skipped == 0
    assert slow.skipped > 0
    assert slow.success
    assert slow.seconds > quick.seconds


def test_policy_that_thinks_longer_than_the_budget_allows_moves_nothing() -> None:
    assert CONTRACT.budget_ns < 350_000_000
    result = attempt(latency_s=0.35)
    assert result.reason.startswith("stopped: the policy has not acted for")
    assert np.ptp(result.commands, axis=0).max() < 1e-9


def test_stop_ends_the_attempt_with_its_reason() -> None:
    bundle = driving_to(GOAL)
    bundle.policy.chunk[0, 0] = np.nan
    runner = Runner(bundle, clock_ns=itertools.count().__next__)
    result = rollout(IdealStation(GOAL), runner, "put_yogurt", 0, frames=bundle.frames)
    assert not result.success
    assert result.reason == "stopped: the policy's action is not finite"


def test_frames_come_once_a_policy_period() -> None:
    bundle, frames = driving_to(GOAL), []
    runner = Runner(bundle, clock_ns=itertools.count().__next__)
    result = rollout(
        IdealStation((0.3, -0.3, 0.2)),
        runner,
        "put_yogurt",
        0,
        frames=bundle.frames,
        on_frame=frames.append,
    )
    assert len(frames) == pytest.approx(result.seconds * CONTRACT.policy_rate_hz, abs=8)
    assert set(frames[0]) == set(CONTRACT.cameras)
