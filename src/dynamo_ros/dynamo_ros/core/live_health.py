"""Which streams are slow, frozen or dead right now; alarms within a second, and the all-clear."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from statistics import median
from typing import NamedTuple

from dynamo_policies.cdr import Cdr, CdrError, concerns, stamp_of
from dynamo_policies.contract import Contract, Stream
from dynamo_policies.episode_quality import Quality, QualityMeter
from dynamo_policies.limits import COLOURS, Colour, QualityLimits, worst
from dynamo_policies.quality import FRESH, SECOND_NS, Still

WINDOW_NS = 700_000_000  # The rate is measured over this long…
WINDOW_PERIODS = 4  # …or over so many periods of a slow stream.
LEAST_SILENT_NS = 300_000_000  # Silence of less may be this computer's own hiccup.
GRACE_NS = 3 * SECOND_NS  # Until then, at the start, nobody is blamed for not having spoken yet.
CLEAR_NS = 500_000_000  # An alarm ends when nothing was wrong for this long, so that none flutters.
FIGURES_NS = 10 * SECOND_NS  # Figures are of the last whole window of this length…
EARLY_NS = 2 * SECOND_NS  # …or of the one that is running, once it is this long.


class StreamHealth(NamedTuple):
    """How a stream does now. `figures` are named with their units."""

    stream: str
    colour: Colour
    text: str
    figures: Mapping[str, float]


class LiveHealth:
    """Takes every message of a contract's streams and tells how they do. For one thread at a time."""

    def __init__(self, contract: Contract) -> None:
        self._meter = QualityMeter(contract)
        self._watches = {
            name: _Watch(stream, contract.quality.of(name)) for name, stream in contract.streams.items()
        }
        self._shown: Quality = self._meter.report()
        self._renewed_ns: int | None = None
        self._began_ns: int | None = None
        self._skew = contract.quality.skew_ms
        self._alarms: dict[str, _Alarm] = {name: _Alarm() for name in (*self._watches, "cameras")}

    @property
    def topics(self) -> set[str]:
        """The topics of the contract's streams."""
        return self._meter.topics

    def saw(self, topic: str, cdr: Cdr, receive_ns: int) -> None:
        """Take a message in: its CDR bytes, received at `receive_ns`."""
        self._meter.add(topic, cdr, receive_ns)
        for watch in self._watches.values():
            if watch.stream.topic == topic and concerns(watch.stream, cdr):
                watch.saw(cdr, receive_ns)

    def look(self, now_ns: int) -> tuple[StreamHealth, ...]:
        """Return how every stream does at `now_ns`, and the cameras together."""
        self._measure(now_ns)
        if self._began_ns is None or now_ns < self._began_ns:  # the start, or simulated time began anew
            self._began_ns = now_ns
        graceful = now_ns - self._began_ns < GRACE_NS
        states = []
        for name, watch in self._watches.items():
            found = list(watch.problems(now_ns, self._meter.still.get(name, FRESH), graceful=graceful))
            colour, text = self._alarms[name].after(_worst_of(found), now_ns)
            figures = _figures(self._shown, name) | watch.figures()
            states.append(StreamHealth(name, colour, text or watch.fine, figures))
        return (*states, *self._cameras(now_ns))

    def _measure(self, now_ns: int) -> None:
        if self._renewed_ns is None or now_ns < self._renewed_ns:
            self._renewed_ns = now_ns
        if now_ns - self._renewed_ns >= EARLY_NS:
            self._shown = self._meter.report()
        if now_ns - self._renewed_ns >= FIGURES_NS:
            self._meter.renew()
            self._renewed_ns = now_ns

    def _cameras(self, now_ns: int) -> Iterator[StreamHealth]:
        """Yield how far apart the cameras see, where there are several."""
        if not self._shown.skews:
            return
        figures: dict[str, float] = {}
        found: list[tuple[Colour, str]] = []
        for skew in self._shown.skews:
            pair = f"{skew.one} to {skew.other}"
            for kind, value in (("stamps", skew.stamps_ms), ("ages", skew.age_ms)):
                figures[f"{pair} {kind} ms"] = value
                found.append((self._skew.over(abs(value)), f"{pair}: {abs(value):.0f} ms apart by {kind}"))
        colour, text = self._alarms["cameras"].after(_worst_of(found), now_ns)
        yield StreamHealth("cameras", colour, text or "together", figures)


class News:
    """Tells which streams' colours changed."""

    def __init__(self) -> None:
        self._colours: dict[str, Colour] = {}

    def of(self, states: tuple[StreamHealth, ...]) -> tuple[StreamHealth, ...]:
        """Return the states of another colour than when last asked; at first, the bad ones."""
        changed = tuple(s for s in states if s.colour != self._colours.get(s.stream, "green"))
        self._colours = {state.stream: state.colour for state in states}
        return changed


class _Watch:
    """The last moments of one stream."""

    def __init__(self, stream: Stream, limits: QualityLimits) -> None:
        self.stream = stream
        self._limits = limits
        self._window_ns = max(WINDOW_NS, round(WINDOW_PERIODS * SECOND_NS / stream.rate_hz))
        self._recent: deque[tuple[int, int]] = deque()  # receipt and stamp
        self._last_ns: int | None = None

    def saw(self, cdr: Cdr, receive_ns: int) -> None:
        """Take note of a message; one without a stamp is none."""
        try:
            stamp_ns = receive_ns if self.stream.stamp == "receive" else stamp_of(cdr)
        except CdrError:
            return
        if self._recent and receive_ns < self._recent[-1][0]:  # simulated time began anew
            self._recent.clear()
        self._recent.append((receive_ns, stamp_ns))
        self._last_ns = receive_ns
        self._forget(receive_ns)

    def problems(self, now_ns: int, still: Still, *, graceful: bool) -> Iterator[tuple[Colour, str]]:
        """Yield what is or is not wrong, with its colour."""
        self._forget(now_ns)
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
        rate_hz = self._rate_hz()
        if rate_hz is None:
            return "silent" if self._last_ns is not None else "nothing yet"
        return f"{rate_hz:.1f} Hz"

    def figures(self) -> dict[str, float]:
        """Return the newest figures."""
        rate_hz, age_ms = self._rate_hz(), self._age_ms()
        return {
            name: value
            for name, value in (("rate now Hz", rate_hz), ("age now ms", age_ms))
            if value is not None
        }

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
        rate_hz, age_ms = self._rate_hz(), self._age_ms()
        if rate_hz is not None:
            slow = self._limits.rate.under(rate_hz / self.stream.rate_hz)
            yield slow, f"{rate_hz:.1f} Hz instead of {self.stream.rate_hz:g}"
        if age_ms is not None:
            yield self._limits.offset_ms.over(abs(age_ms)), f"received {age_ms:.0f} ms after its stamps"

    def _rate_hz(self) -> float | None:
        """Return the rate by stamps, None while too little has come to tell."""
        if self.stream.max_age_ns is None or len(self._recent) < 3:
            return None
        (first_ns, first_stamp_ns), (last_ns, last_stamp_ns) = self._recent[0], self._recent[-1]
        if last_ns - first_ns < self._window_ns / 2:
            return None
        span_ns = last_stamp_ns - first_stamp_ns
        span_ns = span_ns if span_ns > 0 else last_ns - first_ns  # where a clock jumped back
        return (len(self._recent) - 1) * SECOND_NS / span_ns

    def _age_ms(self) -> float | None:
        ages = [received - stamp for received, stamp in self._recent]
        return median(ages) / 1e6 if ages and self.stream.max_age_ns is not None else None

    def _forget(self, now_ns: int) -> None:
        while self._recent and now_ns - self._recent[0][0] > self._window_ns:
            self._recent.popleft()


class _Alarm:
    """A problem, kept a while after it was last seen."""

    def __init__(self) -> None:
        self._colour: Colour = "green"
        self._text = ""
        self._seen_ns = 0

    def after(self, found: tuple[Colour, str], now_ns: int) -> tuple[Colour, str]:
        """Return what to show, given the worst that was found now."""
        colour, _ = found
        if COLOURS.index(colour) >= COLOURS.index(self._colour) and colour != "green":
            (self._colour, self._text), self._seen_ns = found, now_ns
        elif not 0 <= now_ns - self._seen_ns <= CLEAR_NS:
            self._colour, self._text = found if colour != "green" else ("green", "")
            self._seen_ns = now_ns
        return self._colour, self._text


def _worst_of(found: list[tuple[Colour, str]]) -> tuple[Colour, str]:
    colour = worst([one for one, _ in found])
    return colour, next((text for one, text in found if one == colour), "")


def _figures(quality: Quality, name: str) -> dict[str, float]:
    measured = quality.streams[name]
    return {
        "rate Hz": measured.rate_hz,
        "jitter ms": measured.jitter_ms,
        "99 % of times below ms": measured.p99_ms,
        "gap ms": measured.gap_ms,
        "missing": measured.missing,
        "repeated stamps": measured.repeated,
        "age ms": measured.age_ms,
        "oldest ms": measured.oldest_ms,
        "drift ms/min": measured.drift_ms_min,
        "same images": measured.frozen,
    }
