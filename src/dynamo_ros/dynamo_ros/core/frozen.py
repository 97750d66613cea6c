"""The gate of a stream that goes on, under new stamps, but tells nothing new while the arm moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies import gates as settings
from dynamo_policies.streams import Stream
from dynamo_ros.core.gates import CLEAR, Verdict

FloatArray = npt.NDArray[np.float64]


class FrozenGate:
    """One value comes again and again, for longer than the stream may be old, while the arm moves.

    A repeated value is as old as the first of its stamps. `text` says what is seen then.
    """

    def __init__(
        self, its: settings.FrozenGate | settings.FrozenJointsGate, stream: Stream, text: str
    ) -> None:
        self._its, self._text = its, text
        self._max_age_ns, self._latency_ns = stream.max_age_ns, stream.latency_ns
        self._value: npt.NDArray[np.generic] | None = None
        self._joints: FloatArray = np.zeros(0)
        self._since_ns, self._moved = 0, False

    def saw(self, value: npt.NDArray[np.generic], joints: FloatArray, stamp_ns: int) -> None:
        """Compare `value` with the one before; `joints` (J,) rad tell where the arm is, or is to be."""
        if self._value is None or not np.array_equal(value, self._value):
            self._value, self._joints, self._since_ns, self._moved = value, joints, stamp_ns, False
        elif not self._moved:
            self._moved = bool(np.abs(joints - self._joints).max() >= self._its.moved_rad)

    def check(self, now_ns: int) -> Verdict:
        """Want something until the value changes."""
        age_ns = now_ns - self._since_ns + self._latency_ns
        if not self._moved or self._max_age_ns is None or age_ns <= self._max_age_ns:
            return CLEAR
        return Verdict(self._its.reaction, f"{self._text}, for {age_ns / 1e6:.0f} ms")

    def reset(self, _now_ns: int) -> None:
        """Compare with what comes from now on."""
        self._value, self._moved = None, False
