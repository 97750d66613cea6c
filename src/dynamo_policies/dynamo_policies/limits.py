"""From where on a stream is no longer good: thresholds of the live alarms and of an episode's verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from dynamo_policies.errors import ConfigError, UnknownNameError

Colour = Literal["green", "amber", "red"]
COLOURS: tuple[Colour, ...] = ("green", "amber", "red")  # from good to bad


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Beyond `amber` a person should look, beyond `red` the episode should not be trained on.

    A limit of None is never reached.
    """

    amber: float | None
    red: float | None

    def over(self, value: float) -> Colour:
        """Return how bad it is that something is as high as `value`; NaN, not measured, is good."""
        if self.red is not None and value > self.red:
            return "red"
        return "amber" if self.amber is not None and value > self.amber else "green"

    def under(self, value: float) -> Colour:
        """Return how bad it is that something is as low as `value`; NaN, not measured, is good."""
        if self.red is not None and value < self.red:
            return "red"
        return "amber" if self.amber is not None and value < self.amber else "green"


@dataclass(frozen=True, kw_only=True)
class QualityLimits:
    """The thresholds of a contract; all but `rate` are upper ones.

    `streams` replaces some of them for single streams: {stream: {threshold: {amber: …, red: …}}}.
    """

    rate: Limit = Limit(amber=0.95, red=0.8)  # measured over the contract's
    jitter: Limit = Limit(amber=0.5, red=2.0)  # deviation of the time between stamps, in periods
    gap: Limit = Limit(amber=1.0, red=4.0)  # longest silence, in multiples of max_age_ms
    missing: Limit = Limit(amber=0.05, red=0.2)  # due at the contract's rate and not there, a share
    lost: Limit = Limit(amber=0.0, red=0.01)  # known not to have been recorded, a share of all
    duplicates: Limit = Limit(amber=0.01, red=0.1)  # repeated stamps, a share of all
    returns: Limit = Limit(amber=0.0, red=0.01)  # stamps before the one before, a share of all
    offset_ms: Limit = Limit(amber=150.0, red=500.0)  # median of receipt less stamp, either way
    drift_ms_min: Limit = Limit(amber=20.0, red=200.0)  # change of that offset in a minute, either way
    skew_ms: Limit = Limit(amber=25.0, red=70.0)  # from camera to camera
    frozen_ms: Limit = Limit(amber=250.0, red=500.0)  # the same image while the arm moves
    # The same image while nothing moves: a real camera's noise forbids it, a simulated one has none.
    still_ms: Limit = Limit(amber=None, red=None)
    tracking_mm: Limit = Limit(amber=60.0, red=150.0)  # tool from its target, 95 % of the time
    streams: dict[str, dict[str, Limit]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in THRESHOLDS:
            _check(name, getattr(self, name))
        for stream, limits in self.streams.items():
            for name, limit in limits.items():
                if name not in THRESHOLDS:
                    raise UnknownNameError(f"streams.{stream}: threshold", name, THRESHOLDS)
                _check(f"streams.{stream}.{name}", limit)

    def check_streams(self, known: Collection[str]) -> None:
        """Raise UnknownNameError where a stream is named that is not `known`."""
        for stream in self.streams:
            if stream not in known:
                raise UnknownNameError("quality.streams: stream", stream, known)

    def of(self, stream: str) -> QualityLimits:
        """Return the thresholds of one stream."""
        return dataclasses.replace(self, streams={}, **self.streams.get(stream, {}))


LOWER = "rate"
THRESHOLDS = tuple(item.name for item in dataclasses.fields(QualityLimits) if item.name != "streams")


def worst(colours: Collection[Colour]) -> Colour:
    """Return the worst of `colours`, green of none."""
    return max(colours, key=COLOURS.index, default="green")


def _check(name: str, limit: Limit) -> None:
    given = [value for value in (limit.amber, limit.red) if value is not None]
    if any(value < 0.0 or not math.isfinite(value) for value in given):
        raise ConfigError(f"{name}: amber {limit.amber} and red {limit.red} must not be negative")
    ordered = sorted(given, reverse=name.rpartition(".")[2] == LOWER)
    if given != ordered:
        raise ConfigError(f"{name}: amber {limit.amber} must come before red {limit.red}")
