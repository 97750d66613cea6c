"""How long the stages from camera to command take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

KEPT = 1000


class Duration(NamedTuple):
    """The latest durations of one stage, ms."""

    samples: int
    median_ms: float
    p95_ms: float
    longest_ms: float


class Timings:
    """The latest durations of each stage, by a monotonic clock in nanoseconds that is passed in."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._samples: dict[str, deque[int]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Take the time that the body needs, as one duration of `stage`."""
        begun = self._clock_ns()
        yield
        self.add(stage, self._clock_ns() - begun)

    def add(self, stage: str, duration_ns: int) -> None:
        """Take one duration of `stage`."""
        self._samples.setdefault(stage, deque(maxlen=KEPT)).append(duration_ns)

    def summary(self) -> dict[str, Duration]:
        """Return the figures of each stage, in the order in which the stages first occurred."""
        return {stage: _summarise(tuple(samples)) for stage, samples in tuple(self._samples.items())}


def _summarise(samples_ns: tuple[int, ...]) -> Duration:
    ms = np.asarray(samples_ns) / 1e6
    median, p95, longest = (float(value) for value in np.percentile(ms, [50, 95, 100]))
    return Duration(len(samples_ns), median, p95, longest)
