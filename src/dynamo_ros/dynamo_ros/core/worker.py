"""Inference beside the thread that commands, which never waits for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from queue import SimpleQueue

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.plans import Plan, Work
from dynamo_ros.core.runner import Runner

Job = tuple[Runner, Work, "Future[Plan]"]
CLOSE_S = 1.0
# How long the commands wait at most for inference to begin, which would else wait for the whole command.
BEGIN_S = 0.0005


class HangsError(DynamoError):
    """Inference has not come back, so nothing else can be thought of."""


class InferenceError(DynamoError):
    """The networks failed."""


class Worker:
    """Thinks for a Runner on a thread of its own, one observation at a time.

    The thread is a daemon: inference that hangs keeps neither the commands from stopping nor the process from
    ending. A network that hangs while it holds Python's lock stops everything; a real arm then brakes by the
    last command or holds it, as its driver does (docs/drivers.md).
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._last: Future[Plan] | None = None
        self._wanted = False  # whether somebody waits for the last plan
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether inference is going on."""
        return self._last is not None and not self._last.done()

    def step(self, runner: Runner, now_ns: int) -> None:
        """Hand over the plan if one is ready, and begin with the observation if one is due."""
        if self.busy:
            return
        if self._last is not None and self._wanted:
            self._wanted = False
            hand_over(self._last, runner, now_ns)
        if (work := runner.due(now_ns)) is not None:
            self._begin(runner, work)

    def think(self, runner: Runner, work: Work, timeout_s: float) -> Plan:
        """Return the plan for `work`, within `timeout_s` of real time.

        Raises:
            HangsError: it did not come, or an earlier one has not.
            InferenceError: the networks failed.
        """
        self.settle(timeout_s)
        future = self._begin(runner, work)
        self.settle(timeout_s)
        if (error := future.exception()) is not None:
            raise InferenceError(_told(error)) from error
        return future.result()

    def drop(self) -> None:
        """Throw away what inference is at; it may go on."""
        self._wanted = False

    def settle(self, timeout_s: float) -> None:
        """Wait until no inference is going on and throw away what came of it.

        Raises:
            HangsError: one is still going on after `timeout_s` of real time.
        """
        self.drop()
        if self._last is None:
            return
        try:
            self._last.exception(timeout_s)
        except FutureTimeoutError:
            raise HangsError(
                f"inference has not ended after {timeout_s:g} s; clean up and configure to begin anew"
            ) from None

    def close(self) -> None:
        """End the thread, if it can be ended."""
        self._jobs.put(None)
        self._thread.join(CLOSE_S)

    def _begin(self, runner: Runner, work: Work) -> Future[Plan]:
        self._last, self._wanted = Future(), True
        self._begun.clear()
        self._jobs.put((runner, work, self._last))
        self._begun.wait(BEGIN_S)
        return self._last

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._begun.set()
            infer(*job)


def infer(runner: Runner, work: Work, future: Future[Plan]) -> None:
    """Let `future` have the plan for `work`, or what the networks raised."""
    try:
        future.set_result(runner.infer(work))
    except Exception as error:  # noqa: BLE001 - it is raised, or told, where the plan is taken
        future.set_exception(error)


def hand_over(done: Future[Plan], runner: Runner, now_ns: int) -> None:
    """Give `runner` the plan, or stop it where the networks failed."""
    error = done.exception()
    if error is None:
        runner.accept(done.result(), now_ns)
    else:
        runner.stop(_told(error), kind="inference")


def _told(error: BaseException) -> str:
    return f"inference failed: {type(error).__name__}: {error}"
