"""Inference beside the thread that commands."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from dynamo_ros.core.runner import Plan, Runner

# A plan takes a fraction of a second; one that has not come by then never will.
TIMEOUT_S = 10.0


class Worker:
    """Thinks for a Runner on a thread of its own, one observation at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._waiting: Future[Plan] | None = None

    def step(self, runner: Runner, now_ns: int) -> None:
        """Hand over the plan if one is ready, and begin with the observation if one is due."""
        if self._waiting is not None and self._waiting.done():
            _hand_over(self._waiting, runner, now_ns)
            self._waiting = None
        if self._waiting is None and (work := runner.due(now_ns)) is not None:
            self._waiting = self._pool.submit(runner.infer, work)

    def drain(self) -> None:
        """Wait for what was begun and throw it away; then no `infer` is going on."""
        if self._waiting is not None:
            self._waiting.exception(timeout=TIMEOUT_S)
            self._waiting = None

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)


def _hand_over(done: Future[Plan], runner: Runner, now_ns: int) -> None:
    error = done.exception()
    if error is None:
        runner.accept(done.result(), now_ns)
    else:
        runner.stop(f"inference failed: {type(error).__name__}: {error}")
