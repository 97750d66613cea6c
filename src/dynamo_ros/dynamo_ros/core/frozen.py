"""The gate of a stream that goes on, under new stamps, but tells nothing new while the arm moves."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from dynamo_policies import gates as settings
from dynamo_policies.streams import Stream
from dynamo_ros.core.gates import CLEAR, Verdict

FloatArray = npt.NDArray[np.float64]


class FrozenGate:
    """One value comes again and again, for longer than the stream may be old, while the arm moves.

    A repeated value is as old as the first of its stamps. `text` says what is seen then. What moves the arm
    shows in the stream within `lag_ms`; motion counts from when the value came until so long ago.
    """

    def __init__(
        self,
        its: settings.FrozenGate | settings.FrozenJointsGate,
        stream: Stream,
        text: str,
        *,
        lag_ms: float = 0.0,
    ) -> None:
        self._its, self._text, self._lag_ns = its, text, int(lag_ms * 1e6)
        self._max_age_ns, self._latency_ns = stream.max_age_ns, stream.latency_ns
        self._value: npt.NDArray[np.generic] | None = None
        self._way: deque[tuple[int, FloatArray]] = deque()  # from so long ago on
        self._start: FloatArray = np.zeros(0)
        self._since_ns, self._moved = 0, False

    def saw(self, value: npt.NDArray[np.generic], joints: FloatArray, stamp_ns: int) -> None:
        """Compare `value` with the one before; `joints` (J,) rad tell where the arm is, or is to be."""
        if self._value is None or _differ(value, self._value):
            self._value, self._start, self._since_ns, self._moved = value, joints, stamp_ns, False
            self._way.clear()
            self._way.append((stamp_ns, joints))
        elif not self._moved:
            self._way.append((stamp_ns, joints))
            while len(self._way) > 1 and self._way[1][0] <= stamp_ns - self._lag_ns:
                self._way.popleft()
            self._moved = bool(np.abs(self._way[0][1] - self._start).max() >= self._its.moved_rad)

    def came_ns(self, stamp_ns: int) -> int:
        """Return when the value that it saw last came first, `stamp_ns` itself where a value may repeat."""
        return self._since_ns if self._moved else stamp_ns

    def check(self, now_ns: int) -> Verdict:
        """Want something until the value changes."""
        age_ns = now_ns - self._since_ns + self._latency_ns
        if not self._moved or self._max_age_ns is None or age_ns <= self._max_age_ns:
            return CLEAR
        return Verdict(self._its.reaction, f"{self._text}, for {age_ns / 1e6:.0f} ms")

    def reset(self, _now_ns: int) -> None:
        """Compare with what comes from now on."""
        self._value, self._moved = None, False


def _differ(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> bool:
    """Return whether two values differ; the noise of a camera tells by a single row of pixels."""
    middle = len(one) // 2
    return not (np.array_equal(one[middle], other[middle]) and np.array_equal(one, other))
