"""Inference beside the commanding thread."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from dynamo_ros.core.runner import Runner
from dynamo_ros.core.worker import HangsError, InferenceError, Worker
from policy_fixtures import CONTRACT, SECOND, Constant, Tiny, driving_to, samples_at

TASK = "put_yogurt"
START = 10 * SECOND
PERIOD, SETTLE = CONTRACT.period_ns, CONTRACT.settle_ns


class Slow(Constant):
    """Acts once it is allowed to."""

    def __init__(self, chunk: npt.NDArray[np.float32]) -> None:
        super().__init__(chunk)
        self.begun, self.allowed = threading.Event(), threading.Event()

    def act(self, *_arguments: object) -> npt.NDArray[np.float32]:
        self.begun.set()
        assert self.allowed.wait(60.0)
        return self.chunk


class Broken(Constant):
    """Can't act."""

    def act(self, *_arguments: object) -> npt.NDArray[np.float32]:
        raise RuntimeError("out of memory")


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def slow() -> Iterator[Slow]:
    policy = Slow(driving_to((0.4, 0.0, 0.3)).policy.chunk)
    yield policy
    policy.allowed.set()


def begun(policy: Constant) -> Runner:
    runner = Runner(Tiny(policy), clock_ns=itertools.count().__next__)
    feed(runner, START)
    runner.begin(TASK, START)
    return runner


def feed(runner: Runner, now_ns: int) -> None:
    for sample in samples_at(now_ns):
        runner.push(sample)


def until(condition: object) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_ticks_are_skipped_while_a_plan_is_made(worker: Worker, slow: Slow) -> None:
    runner = begun(slow)
    worker.step(runner, START + SETTLE)
    assert slow.begun.wait(60.0)
    worker.step(runner, START + PERIOD + SETTLE)
    assert runner.counts.planned == 0
    slow.allowed.set()
    until(lambda: not worker.busy)
    worker.step(runner, START + 2 * PERIOD + SETTLE)
    assert (runner.counts.skipped, runner.counts.planned) == (1, 1)


def test_error_of_the_policy_stops_the_arm(worker: Worker) -> None:
    runner = begun(Broken(driving_to((0.4, 0.0, 0.3)).policy.chunk))
    worker.step(runner, START + SETTLE)
    until(lambda: not worker.busy)
    worker.step(runner, START + SETTLE)
    assert runner.stopped is not None
    assert runner.stopped.text == "inference failed: RuntimeError: out of memory"


def test_a_policy_that_hangs_holds_the_arm_and_then_stops_it(worker: Worker, slow: Slow) -> None:
    runner, its = begun(slow), CONTRACT.gates.plan
    reactions = []
    for now in range(START, START + 2 * SECOND, CONTRACT.arm.period_ns):
        feed(runner, now)
        worker.step(runner, now)
        command = runner.command(now)
        reactions.append("stopped" if runner.stopped else " ".join(runner.gates.wants()))
        assert command is None or np.abs(command.joints - samples_at(now)[0].value).max() < 1e-9
    assert runner.stopped is not None
    assert runner.stopped.kind == "plan"
    held, stopped = reactions.index("plan"), reactions.index("stopped")
    command_s = CONTRACT.arm.period_ns / SECOND
    assert held * command_s == pytest.approx(its.periods * PERIOD / SECOND, abs=2 * command_s)
    assert (stopped - held) * command_s == pytest.approx(its.stop_after_s, abs=2 * command_s)


def test_a_worker_whose_policy_hangs_is_done_with_at_once(slow: Slow) -> None:
    worker, runner = Worker(), begun(slow)
    worker.step(runner, START + SETTLE)
    assert slow.begun.wait(60.0)
    worker.drop()
    worker.close()
    assert worker.busy


def test_nothing_begins_while_inference_hangs(worker: Worker, slow: Slow) -> None:
    runner = begun(slow)
    worker.step(runner, START + SETTLE)
    with pytest.raises(HangsError, match=r"not ended after 0\.01 s"):
        worker.think(runner, runner.preview(TASK, START + PERIOD), 0.01)
    slow.allowed.set()
    assert worker.think(runner, runner.preview(TASK, START + PERIOD), 60.0).targets


def test_what_was_dropped_is_not_acted_upon(worker: Worker, slow: Slow) -> None:
    runner = begun(slow)
    worker.step(runner, START + SETTLE)
    worker.drop()
    slow.allowed.set()
    until(lambda: not worker.busy)
    worker.step(runner, START + SETTLE)
    assert runner.counts.planned == 0


def test_a_first_action_that_fails_says_why(worker: Worker) -> None:
    runner = begun(Broken(driving_to((0.4, 0.0, 0.3)).policy.chunk))
    with pytest.raises(InferenceError, match="RuntimeError: out of memory"):
        worker.think(runner, runner.preview(TASK, START), 60.0)


def test_inference_goes_on_where_the_arm_can_not_be_at_zero(worker: Worker) -> None:
    lower = np.array(CONTRACT.arm.lower_rad)
    lower[3] = 0.5
    contract = dataclasses.replace(CONTRACT, arm=dataclasses.replace(CONTRACT.arm, lower_rad=tuple(lower)))
    runner = Runner(driving_to((0.4, 0.0, 0.3)), clock_ns=itertools.count().__next__, contract=contract)
    for now in (START, START + PERIOD):
        feed(runner, now)
        assert worker.think(runner, runner.preview(TASK, now), 10.0).targets
