"""How long the stages from camera to command take: histograms in constant memory, a record of each plan."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

# Bins of a histogram: the first ends at 1 us, each other one at 12 % more, the last at 12 s.
FIRST_NS, PER_DECADE, DECADES = 1_000, 20, 7
BINS = PER_DECADE * DECADES + 2
RECORDS = 256  # plans kept for whoever takes them
EACH_TICK = ("command", "publish")  # stages of every command; a plan's are those of its first one


class Duration(NamedTuple):
    """The durations of one stage, ms; quantiles are exact to 6 %, the longest is exact."""

    samples: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    longest_ms: float


class Histogram:
    """Counts durations in bins that grow with the duration."""

    def __init__(self) -> None:
        self.counts = [0] * BINS
        self._longest_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; a negative one, of clocks that disagree, counts as none."""
        self.counts[_bin_of(duration_ns)] += 1
        self._longest_ns = max(self._longest_ns, duration_ns)

    def quantile_ms(self, part: float) -> float:
        """Return what `part` (0..1) of the durations do not exceed, 0 where there are none."""
        wanted, seen = part * sum(self.counts), 0
        for place, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min(_middle_ns(place), self._longest_ns) / 1e6
        return 0.0

    def summary(self) -> Duration:
        """Return the figures."""
        median, p95, p99 = (self.quantile_ms(part) for part in (0.5, 0.95, 0.99))
        return Duration(sum(self.counts), median, p95, p99, self._longest_ns / 1e6)


@dataclass
class Record:
    """What one plan took, from the capture of its images to its first command."""

    tick_ns: int
    captured_ns: int  # the stamp of its oldest image
    begun_ns: int  # when its observation was taken
    observed_clock_ns: int  # when it was there, by the clock of durations
    accepted_ns: int = 0  # when it began to be commanded; 0: not yet
    stages_ns: dict[str, int] = field(default_factory=dict)

    @property
    def age_ns(self) -> int:
        """How old its oldest image was when the first command by it was given."""
        return self.accepted_ns - self.captured_ns


class Timings:
    """The durations of each stage, by a monotonic clock in nanoseconds that is passed in.

    Stages may be measured on several threads, each on one at a time.
    """

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._stages: dict[str, Histogram] = {}
        self._arrivals: dict[tuple[str, int], dict[str, int]] = {}
        self._open: Record | None = None  # of the plan that is being thought of
        self._accepted: Record | None = None  # of the plan that was accepted last
        self._records: deque[Record] = deque(maxlen=RECORDS)
        self._ticked_ns: int | None = None
        self._late_ns = 0

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Take the time that the body needs, as one duration of `stage`."""
        begun = self._clock_ns()
        yield
        self.add(stage, self._clock_ns() - begun)

    def add(self, stage: str, duration_ns: int) -> None:
        """Take one duration of `stage`, which counts for the plan in hand as well."""
        self.count(stage, duration_ns)
        record = self._accepted if stage in EACH_TICK else self._open
        if record is not None:
            record.stages_ns.setdefault(stage, duration_ns)

    def count(self, name: str, duration_ns: int) -> None:
        """Take one duration that is no part of a plan's way."""
        if name not in self._stages:
            self._stages[name] = Histogram()
        self._stages[name].add(duration_ns)

    def arrived(self, stream: str, stamp_ns: int, **stages_ns: int) -> None:
        """Take what the sample of `stream` stamped `stamp_ns` took to arrive, by stage."""
        for stage, duration_ns in stages_ns.items():
            self.count(f"{stage} {stream}", duration_ns)
        self._arrivals[stream, stamp_ns] = stages_ns
        while len(self._arrivals) > RECORDS:
            del self._arrivals[next(iter(self._arrivals))]

    def begin(self, tick_ns: int, now_ns: int) -> None:
        """Open the record of the plan for `tick_ns`."""
        self._open = Record(tick_ns, tick_ns, now_ns, self._clock_ns(), stages_ns={"late": self._late_ns})

    def observed(self, stamps_ns: dict[str, int]) -> None:
        """Note the stamps of the images that the plan in hand is made of, by stream.

        Of their arrivals the one that took longest counts.
        """
        if self._open is None or not stamps_ns:
            return
        arrivals = [self._arrivals.get(item, {}) for item in stamps_ns.items()]
        slowest = max(arrivals, key=_total)
        self._open.stages_ns.update(slowest)
        self._open.captured_ns = min(stamps_ns.values())
        self._open.observed_clock_ns = self._clock_ns()

    def started(self) -> None:
        """Note that inference has begun with the plan in hand; what it waited for that is a stage as well."""
        if self._open is not None and "handoff" not in self._open.stages_ns:
            self.add("handoff", self._clock_ns() - self._open.observed_clock_ns)

    def tick(self, period_ns: int, begun_ns: int) -> None:
        """Note a tick of the commands that began at `begun_ns`; one should begin each `period_ns`.

        What it has done since then, taking what came, makes it late as well.
        """
        self._late_ns = self._clock_ns() - begun_ns
        if self._ticked_ns is not None:
            off_ns = begun_ns - self._ticked_ns - period_ns
            self.count("jitter", abs(off_ns))
            self._late_ns += max(off_ns, 0)
        self._ticked_ns = begun_ns

    def pause(self) -> None:
        """Note that no ticks are due until the next one."""
        self._ticked_ns, self._late_ns, self._open, self._accepted = None, 0, None, None

    def accept(self, tick_ns: int, now_ns: int) -> None:
        """Note that the plan for `tick_ns` is commanded from `now_ns` on."""
        record = self._open
        if record is None or record.tick_ns != tick_ns or record.accepted_ns:
            return
        record.accepted_ns, self._accepted = now_ns, record
        record.stages_ns["late"] += self._late_ns
        self.count("age", record.age_ns)
        self._records.append(record)

    def take_records(self) -> list[Record]:
        """Return the accepted plans that were not taken yet and have been commanded, at most RECORDS."""
        taken = []
        while self._records and not self._waits(self._records[0]):
            taken.append(self._records.popleft())
        return taken

    def _waits(self, record: Record) -> bool:
        return record is self._accepted and EACH_TICK[-1] not in record.stages_ns

    def histograms(self) -> dict[str, Histogram]:
        """Return the histogram of each stage, in the order in which the stages first occurred."""
        return dict(self._stages)

    def summary(self) -> dict[str, Duration]:
        """Return the figures of each stage, in the order in which the stages first occurred."""
        return {stage: histogram.summary() for stage, histogram in self.histograms().items()}


def bin_edges_ms() -> list[float]:
    """Return where the bins of a histogram end, ms; the last bin has no end."""
    return [_edge_ns(place) / 1e6 for place in range(BINS - 1)]


def _bin_of(duration_ns: int) -> int:
    if duration_ns <= FIRST_NS:
        return 0
    return min(math.ceil(PER_DECADE * math.log10(duration_ns / FIRST_NS)), BINS - 1)


def _edge_ns(place: int) -> float:
    return float(FIRST_NS * 10 ** (place / PER_DECADE))


def _middle_ns(place: int) -> float:
    return _edge_ns(place) * float(10 ** (-0.5 / PER_DECADE))


def _total(stages_ns: dict[str, int]) -> int:
    return sum(stages_ns.values())
