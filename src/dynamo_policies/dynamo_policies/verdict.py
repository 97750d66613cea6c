"""Whether an episode is fit to learn from: green, amber or red, with the reasons."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.episode_quality import Quality
from dynamo_policies.errors import DynamoError
from dynamo_policies.limits import COLOURS, Colour, Limit, QualityLimits, worst
from dynamo_policies.quality import StreamQuality
from dynamo_policies.streams import Stream

KEY = "verdict"  # of a bag's custom data


class VerdictError(DynamoError):
    """What should be a verdict is none."""


class Reason(NamedTuple):
    """Why a verdict is not green: the stream, and the figure beside its threshold."""

    colour: Colour
    stream: str
    text: str


class Verdict(NamedTuple):
    """A colour and its reasons, the worst first."""

    colour: Colour
    reasons: tuple[Reason, ...]

    def __str__(self) -> str:
        told = "; ".join(f"{reason.stream}: {reason.text}" for reason in self.reasons)
        return f"{self.colour}: {told}" if told else self.colour


def judge(contract: Contract, quality: Quality, lost: Mapping[str, int] | None = None) -> Verdict:
    """Return the verdict on an episode; `lost` counts the messages of a topic that were not recorded."""
    reasons: list[Reason] = []
    for name, measured in quality.streams.items():
        stream, limits = contract.streams[name], contract.quality.of(name)
        found = [*_of_presence(stream, measured, quality.broken.get(name, 0))]
        if measured.messages:
            found += _of_losses(measured, (lost or {}).get(stream.topic, 0), limits)
            if stream.max_age_ms is not None:
                found += [*_of_times(stream, measured, limits), *_of_clocks(measured, limits)]
                found += _of_images(measured, limits)
        reasons += [Reason(colour, name, text) for colour, text in found if colour != "green"]
    reasons += [*_of_skews(contract, quality), *_of_tracking(contract, quality)]
    reasons.sort(key=lambda reason: -COLOURS.index(reason.colour))
    return Verdict(worst([reason.colour for reason in reasons]), tuple(reasons))


def to_json(verdict: Verdict, quality: Quality) -> str:
    """Return the verdict and what it rests on, as it is stored with the episode; NaN becomes null."""
    plain = {
        "colour": verdict.colour,
        "reasons": [reason._asdict() for reason in verdict.reasons],
        "seconds": quality.seconds,
        "streams": {name: measured._asdict() for name, measured in quality.streams.items()},
        "skews": [skew._asdict() for skew in quality.skews],
        "tracking": quality.tracking._asdict(),
        "broken": quality.broken,
    }
    return json.dumps(_finite(plain), allow_nan=False)


def parse_verdict(text: str) -> Verdict:
    """Return the verdict that `to_json` wrote.

    Raises:
        VerdictError: `text` is nothing of the kind.
    """
    try:
        plain = json.loads(text)
        reasons = tuple(Reason(**reason) for reason in plain["reasons"])
        verdict = Verdict(plain["colour"], reasons)
    except (ValueError, LookupError, TypeError) as error:
        raise VerdictError(f"{text[:80]!r} is no verdict: {error!r}") from error
    for colour in (verdict.colour, *(reason.colour for reason in reasons)):
        if colour not in COLOURS:
            raise VerdictError(f"colour {colour!r} of a verdict is none of {', '.join(COLOURS)}")
    return verdict


Found = Iterator[tuple[Colour, str]]


def _of_presence(stream: Stream, measured: StreamQuality, broken: int) -> Found:
    if not measured.messages:
        yield "amber" if stream.role == "extra" else "red", f"no messages on {stream.topic}"
    if broken:
        yield "red", f"{broken} messages can't be read"


def _of_losses(measured: StreamQuality, lost: int, limits: QualityLimits) -> Found:
    share = lost / (measured.messages + lost)
    yield limits.lost.over(share), f"{lost} messages lost while recording, {share:.1%}"


def _of_times(stream: Stream, measured: StreamQuality, limits: QualityLimits) -> Found:
    slow = limits.rate.under(measured.rate_hz / stream.rate_hz)
    yield slow, f"{measured.rate_hz:.1f} Hz; the contract says {stream.rate_hz:g}"
    share = measured.missing / (measured.messages + measured.missing)
    if slow == "green":  # Else the rate says it already.
        yield limits.missing.over(share), f"{measured.missing} messages did not come, {share:.1%}"
    periods = measured.jitter_ms * stream.rate_hz / 1e3
    yield (
        limits.jitter.over(periods),
        f"{measured.jitter_ms:.1f} ms of jitter, 99 % of its times below {measured.p99_ms:.0f} ms",
    )
    assert stream.max_age_ms is not None
    bound = f"at most {stream.max_age_ms:g} ms is fresh"
    if stream.role == "action":  # A person may let go; those moments are not learnt from.
        paused = limits.gap.over(measured.gap_ms / stream.max_age_ms) != "green"
        yield "amber" if paused else "green", f"pauses for up to {measured.gap_ms:.0f} ms; {bound}"
        return
    yield limits.gap.over(measured.gap_ms / stream.max_age_ms), f"a gap of {measured.gap_ms:.0f} ms; {bound}"
    yield (
        limits.gap.over(measured.edge_ms / stream.max_age_ms),
        f"silent for {measured.edge_ms:.0f} ms at the begin or end; {bound}",
    )


def _of_clocks(measured: StreamQuality, limits: QualityLimits) -> Found:
    count = measured.messages
    repeated = f"{measured.repeated} stamps are repeated"
    yield limits.duplicates.over(measured.repeated / count), repeated
    returns = f"stamps go back {measured.returns} times, by up to {measured.return_ms:.0f} ms"
    yield limits.returns.over(measured.returns / count), returns
    offset = f"received {measured.age_ms:.0f} ms after its stamps{_bound(limits.offset_ms, 'ms')}"
    yield limits.offset_ms.over(abs(measured.age_ms)), offset
    drift = f"its clock drifts by {measured.drift_ms_min:.0f} ms a minute{_bound(limits.drift_ms_min, 'ms')}"
    yield limits.drift_ms_min.over(abs(measured.drift_ms_min)), drift


def _of_images(measured: StreamQuality, limits: QualityLimits) -> Found:
    frozen = f"frozen for {measured.frozen_ms:.0f} ms while the arm moved{_bound(limits.frozen_ms, 'ms')}"
    yield limits.frozen_ms.over(measured.frozen_ms), frozen
    still = f"the same image for {measured.same_ms:.0f} ms{_bound(limits.still_ms, 'ms')}"
    yield limits.still_ms.over(measured.same_ms), still


def _of_skews(contract: Contract, quality: Quality) -> Iterator[Reason]:
    for skew in quality.skews:
        limit = contract.quality.of(skew.other).skew_ms
        apart = f"frames are {skew.stamps_ms:.0f} ms from those of {skew.one}{_bound(limit, 'ms')}"
        yield from _unless_green(limit.over(skew.stamps_ms), skew.other, apart)
        later = f"takes {skew.age_ms:+.0f} ms against {skew.one}{_bound(limit, 'ms')}"
        yield from _unless_green(limit.over(abs(skew.age_ms)), skew.other, later)


def _of_tracking(contract: Contract, quality: Quality) -> Iterator[Reason]:
    limit, tracking = contract.quality.tracking_mm, quality.tracking
    text = f"{tracking.p95_mm:.0f} mm from the target 5 % of the time, {tracking.worst_mm:.0f} mm at worst"
    yield from _unless_green(limit.over(tracking.p95_mm), "tool", text + _bound(limit, "mm"))


def _unless_green(colour: Colour, stream: str, text: str) -> Iterator[Reason]:
    if colour != "green":
        yield Reason(colour, stream, text)


def _bound(limit: Limit, unit: str) -> str:
    value = limit.red if limit.amber is None else limit.amber
    return "" if value is None else f"; at most {value:g} {unit} is good"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
