"""One stream's last moments, and what is wrong with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from statistics import median

from dynamo_policies.cdr import Cdr, CdrError, stamp_of
from dynamo_policies.limits import Colour, Limit, QualityLimits, worst
from dynamo_policies.quality import SECOND_NS, Still
from dynamo_policies.streams import Stream

WINDOW_NS = 700_000_000  # The rate is measured over this long, to be quick…
LONG_NS = 3 * SECOND_NS  # …and over this long, to be exact…
WINDOW_PERIODS = 4  # …or over so many periods of a slow stream.
PAUSE_NS = 150_000_000  # Who commands may pause; more than this is no hiccup.
LEAST_SILENT_NS = 300_000_000  # Silence of less may be this computer's own hiccup.


class Watch:
    """The last moments of one stream."""

    def __init__(self, stream: Stream, limits: QualityLimits) -> None:
        self.stream = stream
        self._limits, self._quick_limit = limits, _quick(limits.rate)
        least_ns = round(WINDOW_PERIODS * SECOND_NS / stream.rate_hz)
        self._quick, self._exact = (_Recent(max(window, least_ns)) for window in (WINDOW_NS, LONG_NS))
        self._last_ns: int | None = None

    def saw(self, cdr: Cdr, receive_ns: int) -> None:
        """Take note of a message; one without a stamp is none."""
        try:
            stamp_ns = receive_ns if self.stream.stamp == "receive" else stamp_of(cdr)
        except CdrError:
            return
        paused = self._may_be_silent and self._last_ns is not None and receive_ns - self._last_ns > PAUSE_NS
        for recent in (self._quick, self._exact):
            if paused:  # Its rate is that since it speaks again.
                recent.clear()
            recent.add(receive_ns, stamp_ns)
        self._last_ns = receive_ns

    def problems(self, now_ns: int, still: Still, *, graceful: bool) -> Iterator[tuple[Colour, str]]:
        """Yield what is or is not wrong, with its colour."""
        self._quick.forget(now_ns)
        stream, limits = self.stream, self._limits
        if self._last_ns is None:
            quiet: Colour = "amber" if stream.max_age_ns is None else "red"
            yield (
                "green" if graceful or self._may_be_silent else quiet,
                f"nothing has come yet from {stream.topic}",
            )
        elif stream.max_age_ns is not None:
            yield from self._problems_of_time(stream.max_age_ns, now_ns)
            yield limits.frozen_ms.over(still.frozen_ns / 1e6), f"frozen for {still.frozen_ns / 1e9:.1f} s"
            yield limits.still_ms.over(still.same_ns / 1e6), f"same image for {still.same_ns / 1e9:.1f} s"

    @property
    def fine(self) -> str:
        """What to say of a stream with which nothing is wrong."""
        if "rate now Hz" in self.figures():
            return f"{self.figures()['rate now Hz']:.1f} Hz"
        return "silent" if self._last_ns is not None else "nothing yet"

    def figures(self) -> dict[str, float]:
        """Return the newest figures; there are none of a stream that speaks when it likes."""
        if self.stream.max_age_ns is None:
            return {}
        found = {"rate now Hz": self._quick.rate_hz(), "age now ms": self._quick.age_ms()}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def _may_be_silent(self) -> bool:
        """Whether nobody is at fault when nothing comes: what is commanded is commanded in episodes only."""
        return self.stream.role == "action"

    def _problems_of_time(self, max_age_ns: int, now_ns: int) -> Iterator[tuple[Colour, str]]:
        assert self._last_ns is not None
        silent_ns = now_ns - self._last_ns
        if silent_ns > max(max_age_ns, LEAST_SILENT_NS):
            yield "green" if self._may_be_silent else "red", f"silent for {silent_ns / 1e9:.1f} s"
            return
        if (rate_hz := self._quick.rate_hz()) is not None:
            yield self._slowness(rate_hz), f"{rate_hz:.1f} Hz instead of {self.stream.rate_hz:g}"
        if (age_ms := self._quick.age_ms()) is not None:
            yield self._limits.offset_ms.over(abs(age_ms)), f"received {age_ms:.0f} ms after its stamps"

    def _slowness(self, rate_hz: float) -> Colour:
        """Return how bad the rate is: much too slow tells at once, a little too slow only over a while."""
        now, due_hz = self._limits.rate.under(rate_hz / self.stream.rate_hz), self.stream.rate_hz
        lasting_hz = self._exact.rate_hz()
        lasting = "green" if lasting_hz is None else self._limits.rate.under(lasting_hz / due_hz)
        mild: Colour = "green" if "green" in (now, lasting) else "amber"
        return worst([self._quick_limit.under(rate_hz / due_hz), mild])


class _Recent:
    """Receipt and stamp of a stream's messages over the last moments."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._times: deque[tuple[int, int]] = deque()

    def add(self, receive_ns: int, stamp_ns: int) -> None:
        """Take note of a message."""
        if self._times and receive_ns < self._times[-1][0]:  # simulated time began anew
            self._times.clear()
        self._times.append((receive_ns, stamp_ns))
        self.forget(receive_ns)

    def clear(self) -> None:
        """Forget all."""
        self._times.clear()

    def forget(self, now_ns: int) -> None:
        """Forget what is too old."""
        while self._times and now_ns - self._times[0][0] > self._window_ns:
            self._times.popleft()

    def rate_hz(self) -> float | None:
        """Return the rate by stamps, None while too little has come to tell."""
        if len(self._times) < 3:
            return None
        (first_ns, first_stamp_ns), (last_ns, last_stamp_ns) = self._times[0], self._times[-1]
        if last_ns - first_ns < self._window_ns / 2:
            return None
        span_ns = last_stamp_ns - first_stamp_ns
        span_ns = span_ns if span_ns > 0 else last_ns - first_ns  # where a clock jumped back
        return (len(self._times) - 1) * SECOND_NS / span_ns

    def age_ms(self) -> float | None:
        """Return the median of receipt less stamp."""
        return median(received - stamp for received, stamp in self._times) / 1e6 if self._times else None


def _quick(limit: Limit) -> Limit:
    """Return the limit of a rate over a short time, in which a late message counts for more."""
    if limit.amber is None or limit.red is None:
        return limit
    return Limit(amber=(limit.amber + limit.red) / 2, red=limit.red)
