"""What alignment makes of a bag: which sample each tick picks, how old it is, what is never picked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.align import ticks_between
from dynamo_policies.bags import BagError, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.episodes import check_span
from dynamo_policies.tracks import IntArray, read_tracks


class Picks(NamedTuple):
    """What the ticks pick of one stream."""

    stamps: IntArray  # (T,) of the sample picked, -1 where there is none
    age_ms: npt.NDArray[np.float64]  # (T,) NaN where there is none
    stale: npt.NDArray[np.bool_]  # (T,)
    max_age_ms: float | None
    samples: int  # in the bag, each stamp once

    @property
    def used(self) -> int:
        """How many of the samples are picked by some tick."""
        return len(np.unique(self.stamps[self.stamps >= 0]))

    @property
    def repeated(self) -> int:
        """How many ticks pick the sample that the tick before picked."""
        return int((np.diff(self.stamps[self.stamps >= 0]) == 0).sum())


class Preview(NamedTuple):
    """The ticks of a bag, ns, and what they pick of each stream."""

    ticks: IntArray
    streams: dict[str, Picks]


def preview(bag: Path | str, contract: Contract | None = None, rate_hz: float | None = None) -> Preview:
    """Return what ticks at `rate_hz`, the policy's rate if None, would pick of the observed streams.

    Raises:
        BagError: the bag can't be read or has no messages.
        DecodeError: a message does not fit the contract.
    """
    info = read_info(bag, contract)
    tracks = read_tracks(info, Decoder(info.contract, FrameSettings(8)))
    check_span(bag, tracks)
    seen = [tracks[name].stamps for name in info.contract.observed if len(tracks[name].stamps)]
    if not seen:
        raise BagError(bag, "no messages on any observed stream")
    period_ns = info.contract.period_ns if rate_hz is None else round(1e9 / rate_hz)
    span = ticks_between(min(int(s[0]) for s in seen), max(int(s[-1]) for s in seen), period_ns)
    ticks = np.asarray(span, dtype=np.int64)
    streams = {}
    for name, stream in info.contract.observed.items():
        stamps, age_ms = tracks[name].picks(ticks)
        stale, samples = tracks[name].stale(ticks), len(tracks[name].stamps)
        streams[name] = Picks(stamps, age_ms, stale, stream.max_age_ms, samples)
    return Preview(ticks, streams)


def plot(found: Preview, file: Path, title: str) -> None:
    """Write a picture of the ages over time, a row for each stream, with stale ticks in red."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.6 * len(found.streams) + 0.6), layout="constrained")
    seconds = (found.ticks - found.ticks[0]) / 1e9
    axes = figure.subplots(len(found.streams), sharex=True, squeeze=False)[:, 0]
    for ax, (name, picks) in zip(axes, found.streams.items(), strict=True):
        ax.plot(seconds, picks.age_ms, ".", markersize=3, color="tab:blue")
        ax.plot(seconds[picks.stale], np.nan_to_num(picks.age_ms)[picks.stale], "x", color="tab:red")
        if picks.max_age_ms is not None:
            ax.axhline(picks.max_age_ms, color="tab:red", linewidth=0.8)
        ax.set_ylabel("age, ms")
        ax.set_title(
            f"{name}: {picks.used} of {picks.samples} samples picked, {picks.stale.sum()} stale", loc="left"
        )
    axes[-1].set_xlabel("time, s")
    figure.suptitle(title)
    figure.savefig(file, dpi=110)
