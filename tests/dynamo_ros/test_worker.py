"""Inference beside the commanding thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from dynamo_ros.core.runner import Runner
from dynamo_ros.core.worker import Worker
from policy_fixtures import CONTRACT, SECOND, Constant, Tiny, driving_to, samples_at

START = 10 * SECOND
PERIOD, SETTLE = CONTRACT.period_ns, CONTRACT.settle_ns


class Slow(Constant):
    """Acts once it is allowed to."""

    def __init__(self, chunk: npt.NDArray[np.float32]) -> None:
        super().__init__(chunk)
        self.begun, self.allowed = threading.Event(), threading.Event()

    def act(self, *_arguments: object) -> npt.NDArray[np.float32]:
        self.begun.set()
        assert self.allowed.wait(10.0)
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


def begun(policy: Constant) -> Runner:
    runner = Runner(Tiny(policy), clock_ns=itertools.count().__next__)
    for sample in samples_at(START):
        runner.push(sample)
    runner.begin("put_yogurt", START)
    return runner


def test_ticks_are_skipped_while_a_plan_is_made(worker: Worker) -> None:
    policy = Slow(driving_to((0.4, 0.0, 0.3)).policy.chunk)
    runner = begun(policy)
    worker.step(runner, START + SETTLE)
    assert policy.begun.wait(10.0)
    for tick in range(1, 4):
        worker.step(runner, START + tick * PERIOD + SETTLE)
    assert runner.counts.planned == 0
    policy.allowed.set()
    worker.drain()
    worker.step(runner, START + 4 * PERIOD + SETTLE)
    assert runner.counts.skipped == 3


def test_error_of_the_policy_stops_the_arm(worker: Worker) -> None:
    runner = begun(Broken(driving_to((0.4, 0.0, 0.3)).policy.chunk))
    worker.step(runner, START + SETTLE)
    deadline = time.monotonic() + 10.0
    while runner.stopped is None and time.monotonic() < deadline:
        worker.step(runner, START + SETTLE)
    assert runner.stopped is not None
    assert runner.stopped.text == "inference failed: RuntimeError: out of memory"
