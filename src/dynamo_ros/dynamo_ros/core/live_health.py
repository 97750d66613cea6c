"""Which streams are slow, frozen or dead right now; alarms within a second, and the all-clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dynamo_policies.cdr import Cdr, concerns
from dynamo_policies.contract import Contract
from dynamo_policies.episode_quality import Quality, QualityMeter
from dynamo_policies.limits import COLOURS, Colour, worst
from dynamo_policies.quality import FRESH, SECOND_NS
from dynamo_ros.core.stream_watch import Watch

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
            name: Watch(stream, contract.quality.of(name)) for name, stream in contract.streams.items()
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
