"""Samples of many rates to one observation per tick, live and from bags by the same rule.

The observation of a tick holds, for each stream, the newest sample whose stamp less the stream's latency is
at most the tick. Where that sample is older than the stream's maximum age, or missing, the stream is stale.
"""

from __future__ import annotations

import bisect
import math

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError, UnknownNameError
from dynamo_policies.observation import Observation, Sample
from dynamo_policies.streams import Stream

HORIZON_S = 2.0  # How much of a stream is kept while nobody observes…
LEAST_KEPT = 64  # …and how many samples at least, since a driver may be faster than its contract says.


class AlignError(DynamoError):
    """A tick was asked for that is no longer known."""


class Aligner:
    """Keeps the latest samples of the observed streams and answers what was known at a tick.

    The order in which samples are pushed does not matter. Of two samples with one stamp the first pushed
    counts. Once a tick has been observed, earlier ticks can't be.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._histories = {name: _History(stream) for name, stream in contract.observed.items()}
        self._last_tick_ns: int | None = None
        self.stamps_ns: dict[str, int] = {}  # of the images of the last observation, by camera

    def push(self, sample: Sample) -> None:
        """Take `sample` in; one of a stream that is no part of observations is ignored."""
        if sample.stream in self._histories:
            self._histories[sample.stream].push(sample)
        elif sample.stream not in self._contract.streams:
            raise UnknownNameError("stream", sample.stream, self._contract.streams)

    def reset(self) -> None:
        """Forget all samples and ticks; needed when the clock jumps back."""
        self._histories = {name: _History(stream) for name, stream in self._contract.observed.items()}
        self._last_tick_ns = None

    def observe(self, tick_ns: int) -> Observation:
        """Return what was known at `tick_ns`.

        A stream without any sample yet is stale, has no image, and NaN in the state.

        Raises:
            AlignError: `tick_ns` lies before the last tick observed.
        """
        if self._last_tick_ns is not None and tick_ns < self._last_tick_ns:
            raise AlignError(
                f"tick {tick_ns} lies before the last one observed, {self._last_tick_ns}; reset first"
            )
        self._last_tick_ns = tick_ns
        newest = {name: history.newest(tick_ns) for name, history in self._histories.items()}
        self.stamps_ns = {
            name: sample.stamp_ns for name in self._contract.cameras if (sample := newest[name]) is not None
        }
        images = {
            name: sample.value.astype(np.uint8, copy=False)
            for name in self._contract.cameras
            if (sample := newest[name]) is not None
        }
        return Observation(tick_ns, images, self._state(newest), self._stale(newest, tick_ns))

    def _state(self, newest: dict[str, Sample | None]) -> npt.NDArray[np.float32]:
        parts = []
        for name in self._contract.proprioception:
            sample = newest[name]
            unknown = np.full(len(self._contract.streams[name].joints), np.nan)
            parts.append(unknown if sample is None else sample.value)
        return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, dtype=np.float32)

    def _stale(self, newest: dict[str, Sample | None], tick_ns: int) -> tuple[str, ...]:
        streams = self._contract.observed
        return tuple(
            name
            for name, sample in newest.items()
            if sample is None or is_stale(streams[name], tick_ns - sample.stamp_ns)
        )


def is_stale(stream: Stream, since_stamp_ns: int) -> bool:
    """Return whether a sample stamped `since_stamp_ns` before the tick is too old for `stream`."""
    return stream.max_age_ns is not None and since_stamp_ns + stream.latency_ns > stream.max_age_ns


def ticks_between(start_ns: int, end_ns: int, period_ns: int) -> range:
    """Return the multiples of `period_ns` from `start_ns` to `end_ns`, both included."""
    first = -(-start_ns // period_ns) * period_ns
    return range(first, end_ns + 1, period_ns)


class _History:
    """The samples of one stream, by stamp, as many as are needed and no more than HORIZON_S of them."""

    def __init__(self, stream: Stream) -> None:
        self._latency_ns = stream.latency_ns
        self._limit = max(LEAST_KEPT, math.ceil(stream.rate_hz * HORIZON_S) + 1)
        self._stamps: list[int] = []
        self._samples: list[Sample] = []

    def push(self, sample: Sample) -> None:
        place = bisect.bisect_left(self._stamps, sample.stamp_ns)
        if place < len(self._stamps) and self._stamps[place] == sample.stamp_ns:
            return
        self._stamps.insert(place, sample.stamp_ns)
        self._samples.insert(place, sample)
        self._forget(len(self._stamps) - self._limit)

    def newest(self, tick_ns: int) -> Sample | None:
        """Return the newest sample at the tick and forget those before it."""
        place = bisect.bisect_right(self._stamps, tick_ns + self._latency_ns) - 1
        if place < 0:
            return None
        self._forget(place)
        return self._samples[0]

    def _forget(self, count: int) -> None:
        if count > 0:
            del self._stamps[:count]
            del self._samples[:count]
