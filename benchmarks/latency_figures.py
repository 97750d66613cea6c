"""From what came of the inference node to the figures of the latency benchmark."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np
from latency_pauses import Pause, explained
from latency_robot import Arrival, Heard

from dynamo_policies.contract import Contract
from dynamo_policies.plan_times import PlanTimes

ARRIVING, GOING_ON = ("transport", "queue", "decode"), ("late", "align", "handoff", "shape")
COMPUTE = ("encode", "policy")  # of networks; all else is overhead
WARM_UP_S = 3.0


def figures(heard: Heard, robot: Contract, pauses: Sequence[Pause]) -> dict[str, Any]:
    """Return the figures of a run, without its first seconds.

    Overhead of a plan: transport + queue + decode of the image that took longest, + align + handoff + shape,
    + what the ticks that took the observation and the plan were late, with their taking of what had come,
    + from the latter's beginning until its command is sent (`out`: blending, limits, inverse kinematics,
    publishing). `delivered` has the way to the controller's process as well. Each is measured by itself,
    although transport and decode lie within the `settle_ms` that the node waits anyway; `after_settling` is
    the overhead without these. What is left of the time from capture to the controller is delivery, the
    networks' compute and `wait`: for the policy's tick, `settle_ms`, and the next tick of the commands.
    """
    since_ns = heard.arrivals[0].sent_ns + int(WARM_UP_S * 1e9)
    arrivals = [one for one in heard.arrivals if one.sent_ns >= since_ns]
    plans = [one for one in heard.plans if one.accepted_ns >= since_ns and "publish" in one.stages_ms]
    rows = [row for plan in plans if (row := _row(plan, arrivals)) is not None]
    if not rows:
        raise SystemExit(f"no plan was commanded; stops: {heard.stops}, counts: {heard.counts}")
    parts = {name: _summary([row.get(name, 0.0) for row in rows]) for name in rows[0]}
    sent = np.array([one.sent_ns for one in arrivals], np.int64)
    period_ms = robot.arm.period_ns / 1e6
    intervals = np.diff(sent) / 1e6
    jitter = np.abs(intervals - period_ms)
    starved = [(int(sent[i]), int(sent[i + 1])) for i in np.flatnonzero(intervals > 2 * period_ms)]
    oldest_ms, budget_ms = float(heard.stages["command age"]["max ms"]), robot.budget_ns / 1e6
    return {
        "overhead_p50_ms": parts["overhead"]["p50"],
        "overhead_p99_ms": parts["overhead"]["p99"],
        "jitter_p99_ms": max(float(np.percentile(jitter, 99)), float(heard.stages["jitter"]["p99 ms"])),
        "jitter_of_sending_ms": _summary(jitter),
        "jitter_of_ticks_ms": heard.stages["jitter"],
        "parts_ms": parts,
        "commands": len(arrivals),
        "plans": len(plans),
        "command_gap_max_ms": float(intervals.max()),
        "plan_gap_max_ms": float(np.diff([plan.accepted_ns for plan in plans]).max() / 1e6),
        "plan_period_ms": robot.period_ns / 1e6,
        "command_age_max_ms": oldest_ms,
        "budget_ms": budget_ms,
        "within_budget": oldest_ms <= budget_ms,
        "commands_starved": len(starved),
        # In so many of these the machine itself stood still for at least half of the time.
        "starved_by_machine": explained(starved, pauses, 0.5),
        "machine_pauses": len(pauses),
        "machine_pause_max_ms": max((one.ended_ns - one.begun_ns for one in pauses), default=0) / 1e6,
        "plans_starved": int((np.diff([plan.tick_ns for plan in plans]) > 1.5 * robot.period_ns).sum()),
        "counts": {key: heard.counts.get(key) for key in ("planned", "skipped", "stale", "late")},
        "stops": heard.stops,
        "stages": heard.stages,
    }


def _row(plan: PlanTimes, arrivals: Sequence[Arrival]) -> dict[str, float] | None:
    """Return the parts of one plan's way, ms; None where its first command was not seen."""
    first = bisect.bisect_left(arrivals, plan.accepted_ns, key=lambda one: one.sent_ns)
    if first == len(arrivals):
        return None
    arrival = arrivals[first]
    ms = plan.stages_ms
    delivery = (arrival.received_ns - arrival.sent_ns) / 1e6
    parts = {name: ms.get(name, 0.0) for name in (*ARRIVING, *GOING_ON)}
    parts["out"] = (arrival.sent_ns - plan.accepted_ns) / 1e6
    overhead, compute = sum(parts.values()), sum(ms[name] for name in COMPUTE)
    total = (arrival.received_ns - plan.captured_ns) / 1e6
    return {
        **ms,
        **parts,
        "compute": compute,
        "overhead": overhead,
        "delivery": delivery,
        "delivered": overhead + delivery,
        "after_settling": overhead - sum(parts[name] for name in ARRIVING),
        "total": total,
        "wait": total - compute - overhead - delivery,
    }


def _summary(values: Any) -> dict[str, float]:
    p50, p95, p99, most = np.percentile(np.asarray(values, np.float64), [50, 95, 99, 100])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(most)}
