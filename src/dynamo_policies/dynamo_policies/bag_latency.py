"""How long the ways from camera to command took in a recorded run, from a bag's stamps and its ~/timing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import BagError, BagInfo, deserialize, raw_messages
from dynamo_policies.cdr import concerns, stamp_of
from dynamo_policies.contract import Contract
from dynamo_policies.plan_times import MESSAGE, PLANS, PlanTimes, from_text
from dynamo_policies.streams import PoseStream, Stream

FloatArray = npt.NDArray[np.float64]
AGE = "capture to command"


@dataclass(frozen=True)
class Series:
    """Durations, each with the time that it belongs to."""

    seconds: FloatArray  # (N,) from the beginning of the bag
    ms: FloatArray  # (N,)

    def figures(self) -> dict[str, float]:
        """Return count, p50, p95, p99 and max."""
        p50, p95, p99, most = (float(value) for value in np.percentile(self.ms, [50, 95, 99, 100]))
        return {"count": float(len(self.ms)), "p50": p50, "p95": p95, "p99": p99, "max": most}


@dataclass(frozen=True)
class Latency:
    """What was found in one bag."""

    series: dict[str, Series]
    budget_ms: float
    engine: str  # what ran the encoder; empty where the bag does not say
    timed: bool  # whether the bag has what an inference node told of its plans

    @property
    def over_budget(self) -> int:
        """How many plans were commanded later than the budget."""
        return int((self.series[AGE].ms > self.budget_ms).sum()) if AGE in self.series else 0


@dataclass
class _Found:
    """What is collected while a bag is read."""

    stamps: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    receipts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    plans: list[PlanTimes] = field(default_factory=list)
    engine: str = ""


def bag_latency(info: BagInfo) -> Latency:
    """Return how old messages were when they came, how old images were at commands, and what plans took.

    Raises:
        BagError: the bag can't be read, or has none of this.
    """
    found = _read(info)
    series: dict[str, Series] = {}
    for name, stamps in found.stamps.items():
        command = _is_command(info.contract, name)
        label = "command sent to received" if command else f"capture to received: {name}"
        receipts = np.array(found.receipts[name], np.int64)
        series[label] = _series(info, receipts, receipts - np.array(stamps, np.int64))
    series |= _of_commands(info, found)
    series |= _of_plans(info, found.plans)
    if not series:
        raise BagError(info.path, f"none of its topics has stamped messages: {sorted(info.counts)}")
    return Latency(series, info.contract.budget_ns / 1e6, found.engine, bool(found.plans))


def _read(info: BagInfo) -> _Found:
    streams: dict[str, dict[str, Stream]] = defaultdict(dict)
    for name, stream in info.contract.streams.items():
        if info.counts.get(stream.topic) and (stream.role == "observation" or isinstance(stream, PoseStream)):
            streams[stream.topic][name] = stream
    timings = [topic for topic, kind in info.types.items() if kind == MESSAGE and topic.endswith("/timing")]
    found = _Found()
    for raw in raw_messages(info, [*streams, *(topic for topic in timings if info.counts.get(topic))]):
        for name, stream in streams.get(raw.topic, {}).items():
            if stream.stamp == "header" and concerns(stream, raw.data):
                found.stamps[name].append(stamp_of(raw.data))
                found.receipts[name].append(raw.receive_ns)
        if raw.topic not in streams:
            for status in deserialize(raw).status:
                _take_status(found, status.name, {pair.key: pair.value for pair in status.values})
    return found


def _take_status(found: _Found, name: str, values: dict[str, str]) -> None:
    if name == PLANS:
        found.plans += [from_text(*item) for item in values.items()]
    found.engine = values.get("engine", found.engine)


def _of_commands(info: BagInfo, found: _Found) -> dict[str, Series]:
    """Return, for each camera, how old the newest image that had come was at each command."""
    commands = [name for name in found.stamps if _is_command(info.contract, name)]
    if not commands:
        return {}
    times = np.array(found.stamps[commands[0]], np.int64)
    series = {"command to command": _series(info, times[1:], np.diff(times))}
    for name in info.contract.cameras:
        if name not in found.stamps:
            continue
        order = np.argsort(found.receipts[name], kind="stable")
        receipts = np.array(found.receipts[name], np.int64)[order]
        newest = np.maximum.accumulate(np.array(found.stamps[name], np.int64)[order])
        place = np.searchsorted(receipts, times, side="right") - 1
        at = times[place >= 0]
        series[f"newest image at command: {name}"] = _series(info, at, at - newest[place[place >= 0]])
    return {name: one for name, one in series.items() if len(one.ms)}


def _of_plans(info: BagInfo, plans: Sequence[PlanTimes]) -> dict[str, Series]:
    if not plans:
        return {}
    taken: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for plan in plans:
        for name, value in plan.stages_ms.items():
            taken[f"plan: {name}"].append((plan.accepted_ns, value))
        taken[AGE].append((plan.accepted_ns, plan.age_ms))
    return {
        name: _series(info, [at for at, _ in pairs], [value * 1e6 for _, value in pairs])
        for name, pairs in taken.items()
    }


def _series(info: BagInfo, times_ns: npt.ArrayLike, durations_ns: npt.ArrayLike) -> Series:
    seconds = (np.asarray(times_ns, np.int64) - info.start_ns) / 1e9
    return Series(seconds, np.asarray(durations_ns, np.float64) / 1e6)


def _is_command(contract: Contract, name: str) -> bool:
    return bool(contract.streams[name].role == "action")
