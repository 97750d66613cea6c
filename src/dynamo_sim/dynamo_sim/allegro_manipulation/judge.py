"""Whether the sponge is picked up: 10 cm above the table, held by the hand alone, for half a second."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_ros.core.station import StationOutcome

FloatArray = npt.NDArray[np.float64]

LIFTED_M, HELD_S = 0.10, 0.5
LOST_M = -0.05  # below the table's top


class Situation(NamedTuple):
    """What the judge looks at."""

    lowest_m: float  # the sponge's lowest corner above the table's top
    by_hand: bool  # whether the hand touches it
    by_others: bool  # whether anything else does


class Judge:
    """Follows one rollout and remembers since when the sponge has been up."""

    def __init__(self, task: str, *, time_limit_s: float, now_ns: int) -> None:
        self._task, self._limit_s, self._start_ns = task, time_limit_s, now_ns
        self._since_ns: int | None = None
        self._reason, self._success = "", False
        self._now_ns = now_ns

    def look(self, situation: Situation, now_ns: int) -> None:
        """Judge the `situation` at `now_ns`; once done, the verdict stays."""
        if self._reason:
            return
        self._now_ns = now_ns
        up = situation.lowest_m >= LIFTED_M and situation.by_hand and not situation.by_others
        self._since_ns = (now_ns if self._since_ns is None else self._since_ns) if up else None
        if self._since_ns is not None and now_ns - self._since_ns >= HELD_S * 1e9:
            self._success, self._reason = True, "the sponge is held above the table"
        elif situation.lowest_m < LOST_M:
            self._reason = "the sponge fell off the table"
        elif self._elapsed_s() >= self._limit_s:
            self._reason = f"time limit of {self._limit_s:g} s"

    def outcome(self) -> StationOutcome:
        """Return the verdict so far."""
        return StationOutcome(self._task, self._success, bool(self._reason), self._reason, self._elapsed_s())

    def _elapsed_s(self) -> float:
        return (self._now_ns - self._start_ns) / 1e9
