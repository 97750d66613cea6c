"""How good a stream is, measured message by message in constant memory, live and from bags alike."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SECOND_NS = 1_000_000_000
KEPT = 512  # of the values that a median is taken of
REMEMBERED = 256  # stamps, of which one that comes again is a repeated one
MISSED = 1.75  # Periods between two messages, from where on one is missing; less may be jitter.
LEAST_DRIFT_S = 30.0  # Drift over less time would be noise.


class StreamQuality(NamedTuple):
    """What was measured of one stream; NaN where it takes more messages than there were.

    Times between messages are by their stamps, those of receipt by the recorder's clock.
    """

    messages: int
    rate_hz: float
    jitter_ms: float  # standard deviation of the time between stamps
    p99_ms: float  # 99 % of the times between stamps are shorter
    gap_ms: float  # the longest time between stamps
    edge_ms: float  # by receipt, the longest time without a message at the begin or end of the recording
    missing: int  # messages that were due at the contract's rate and are not there
    repeated: int  # stamps that were there before
    returns: int  # stamps before the last one received
    return_ms: float  # the longest way back
    age_ms: float  # receipt less stamp, median: the way to the recorder and the offset of the clocks
    oldest_ms: float  # receipt less stamp, largest
    drift_ms_min: float  # change of the age in a minute
    clock_step_ms: float  # largest change of the age from message to message
    frozen: int  # images that are the same as the one before
    same_ms: float  # the longest time with the same image…
    frozen_ms: float  # …and the longest while the arm moved


class Still(NamedTuple):
    """How long a camera has shown the same image, by stamps."""

    repeats: bool  # the image is the one before
    same_ns: int
    frozen_ns: int  # since the arm moved while it stayed the same


FRESH = Still(repeats=False, same_ns=0, frozen_ns=0)


class Thinned:
    """A constant number of values, evenly spread over all that were added."""

    def __init__(self, limit: int = KEPT) -> None:
        self._limit, self._step, self._count = limit, 1, 0
        self._values: list[float] = []

    def add(self, value: float) -> None:
        """Take a value in."""
        if self._count % self._step == 0:
            self._values.append(value)
            if len(self._values) >= self._limit:
                del self._values[1::2]
                self._step *= 2
        self._count += 1

    def values(self) -> npt.NDArray[np.float64]:
        """Return what was kept, in the order it came."""
        return np.asarray(self._values, dtype=np.float64)

    def percentile(self, percent: float) -> float:
        """Return a percentile of what was kept, NaN where nothing was."""
        return float(np.percentile(self._values, percent)) if self._values else math.nan


class Spread:
    """Mean, deviation and percentiles of positive durations; percentiles to 5 %."""

    PER_DECADE, DECADES = 50, 10  # from a microsecond to some hours

    def __init__(self) -> None:
        self.count, self.largest = 0, math.nan
        self._mean = self._squares = 0.0
        self._bins = [0] * (self.PER_DECADE * self.DECADES + 1)

    def add(self, nanoseconds: int) -> None:
        """Take a duration in."""
        self.count += 1
        # Welford, "Note on a method for calculating corrected sums of squares and products", 1962.
        step = nanoseconds - self._mean
        self._mean += step / self.count
        self._squares += step * (nanoseconds - self._mean)
        self.largest = float(nanoseconds) if self.count == 1 else max(self.largest, float(nanoseconds))
        place = int(math.log10(max(nanoseconds, 1000) / 1000) * self.PER_DECADE)
        self._bins[min(place, len(self._bins) - 1)] += 1

    @property
    def deviation(self) -> float:
        """Standard deviation, ns; NaN of nothing."""
        return math.sqrt(self._squares / self.count) if self.count else math.nan

    def percentile(self, percent: float) -> float:
        """Return the duration, ns, below which `percent` of them lie; NaN of nothing."""
        wanted, seen = self.count * percent / 100, 0
        for place, number in enumerate(self._bins):
            seen += number
            if number and seen >= wanted:
                return float(min(self.largest, 1000 * 10 ** ((place + 1) / self.PER_DECADE)))
        return math.nan


class StreamMeter:
    """Measures one stream; `rate_hz` is what its contract says, None where nothing is due at any time.

    Of a stream that may pause, as a person may let go, times longer than `pause_ns` count as gaps only.
    """

    def __init__(self, rate_hz: float | None, *, pause_ns: float = math.inf) -> None:
        self._pause_ns, self._pauses, self._paused_ns = pause_ns, 0, 0
        self._period_ns = None if rate_hz is None else SECOND_NS / rate_hz
        self._between, self._ages, self._received = Spread(), Thinned(), Thinned()
        self._known: deque[int] = deque(maxlen=REMEMBERED)
        self._repeated = self._returns = self._return_ns = self._missing = self._messages = 0
        self._first_ns = self._newest_ns = self._last_ns = 0  # stamps: oldest, newest, last received
        self._came_ns = self._began_ns = 0  # receipt: last, first
        self._oldest_ns, self._step_ns = -math.inf, 0
        self._gap_ns = math.nan
        self._frozen = self._same_ns = self._frozen_ns = 0

    def add(self, stamp_ns: int, receive_ns: int, still: Still = FRESH) -> None:
        """Take a message in, of an image how long it has been the same."""
        self._see_age(receive_ns - stamp_ns, receive_ns)
        self._frozen += still.repeats
        self._same_ns = max(self._same_ns, still.same_ns)
        self._frozen_ns = max(self._frozen_ns, still.frozen_ns)
        if self._messages:
            self._see_order(stamp_ns)
        else:
            self._first_ns = self._newest_ns = stamp_ns
            self._began_ns = receive_ns
        self._known.append(stamp_ns)
        self._messages += 1
        self._last_ns, self._came_ns = stamp_ns, receive_ns

    def report(self, start_ns: int | None = None, end_ns: int | None = None) -> StreamQuality:
        """Return what was measured, in a recording from `start_ns` to `end_ns` by receipt."""
        unique = self._messages - self._repeated
        span_ns = self._newest_ns - self._first_ns - self._paused_ns
        steps = unique - 1 - self._pauses
        return StreamQuality(
            messages=self._messages,
            rate_hz=steps * SECOND_NS / span_ns if span_ns and steps > 0 else math.nan,
            jitter_ms=self._between.deviation / 1e6,
            p99_ms=self._between.percentile(99) / 1e6,
            gap_ms=self._gap_ns / 1e6,
            edge_ms=self._edge(start_ns, end_ns) / 1e6,
            missing=self._missing,
            repeated=self._repeated,
            returns=self._returns,
            return_ms=self._return_ns / 1e6,
            age_ms=self._ages.percentile(50) / 1e6,
            oldest_ms=self._oldest_ns / 1e6 if self._messages else math.nan,
            drift_ms_min=self._drift(),
            clock_step_ms=self._step_ns / 1e6,
            frozen=self._frozen,
            same_ms=self._same_ns / 1e6,
            frozen_ms=self._frozen_ns / 1e6,
        )

    def _see_order(self, stamp_ns: int) -> None:
        if stamp_ns < self._last_ns:
            self._returns += 1
            self._return_ns = max(self._return_ns, self._last_ns - stamp_ns)
        if stamp_ns in self._known:
            self._repeated += 1
        elif (ahead_ns := stamp_ns - self._newest_ns) > 0:
            self._gap_ns = ahead_ns if math.isnan(self._gap_ns) else max(self._gap_ns, ahead_ns)
            if ahead_ns > self._pause_ns:
                self._pauses, self._paused_ns = self._pauses + 1, self._paused_ns + ahead_ns
            else:
                self._between.add(ahead_ns)
                self._count_missing(ahead_ns)
        self._first_ns, self._newest_ns = min(self._first_ns, stamp_ns), max(self._newest_ns, stamp_ns)

    def _count_missing(self, ahead_ns: int) -> None:
        if self._period_ns is not None and ahead_ns > MISSED * self._period_ns:
            self._missing += round(ahead_ns / self._period_ns) - 1

    def _see_age(self, age_ns: int, receive_ns: int) -> None:
        if self._messages:
            self._step_ns = max(self._step_ns, abs(age_ns - (self._came_ns - self._last_ns)))
        self._oldest_ns = max(self._oldest_ns, age_ns)
        self._ages.add(age_ns)
        self._received.add(receive_ns / SECOND_NS)

    def _edge(self, start_ns: int | None, end_ns: int | None) -> float:
        if start_ns is None or end_ns is None:
            return math.nan
        if not self._messages:
            return float(end_ns - start_ns)
        return float(max(self._began_ns - start_ns, end_ns - self._came_ns))

    def _drift(self) -> float:
        ages, received = self._ages.values() / 1e6, self._received.values()
        quarter = len(ages) // 4
        if not quarter or received[-1] - received[0] < LEAST_DRIFT_S:
            return math.nan
        minutes = float(np.median(received[-quarter:]) - np.median(received[:quarter])) / 60
        return float(np.median(ages[-quarter:]) - np.median(ages[:quarter])) / minutes
