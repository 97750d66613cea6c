"""What the stages from camera to command take, on ~/timing: histograms, and a record of each plan."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from dynamo_policies.embed import Embedder
from dynamo_policies.plan_times import PLANS, STAGE, PlanTimes, to_text
from dynamo_ros.core.runner import Runner
from dynamo_ros.core.timings import FIRST_NS, PER_DECADE, Histogram, Record
from dynamo_ros.nodes.messages import now_ns, to_time

NAME = "dynamo timing"


class TimingPublisher:
    """Publishes a runner's timings; each plan is told once."""

    def __init__(self, node: Node, embedder: Embedder) -> None:
        self._node, self._embedder = node, embedder
        self._publisher = node.create_publisher(DiagnosticArray, "~/timing", 10)

    def publish(self, runner: Runner) -> None:
        """Publish what has been measured so far, and the plans since the last call."""
        plans = [_plan_times(record) for record in runner.timings.take_records()]
        stages = [_stage(name, one) for name, one in runner.timings.histograms().items()]
        message = DiagnosticArray(status=[self._verdict(runner, plans), *stages, _plans(plans)])
        message.header.stamp = to_time(now_ns(self._node.get_clock()))
        self._publisher.publish(message)

    def destroy(self) -> None:
        """Take the publisher off the node."""
        self._node.destroy_publisher(self._publisher)

    def _verdict(self, runner: Runner, plans: list[PlanTimes]) -> DiagnosticStatus:
        budget_ms = runner.contract.budget_ns / 1e6
        oldest_ms = max((plan.age_ms for plan in plans), default=0.0)
        late = runner.counts.late
        broken = late > 0 or oldest_ms > budget_ms
        level = DiagnosticStatus.WARN if broken else DiagnosticStatus.OK
        text = f"{late} plans came later than the budget of {budget_ms:.0f} ms" if broken else "in time"
        values = {
            "engine": self._embedder.engine.name,
            "engine choice": self._embedder.engine_choice,
            "budget ms": f"{budget_ms:.1f}",
            "late plans": str(late),
            "first bin ms": f"{FIRST_NS / 1e6:g}",
            "bins per decade": str(PER_DECADE),
        }
        return DiagnosticStatus(level=level, name=NAME, message=text, values=_pairs(values))


def _plan_times(record: Record) -> PlanTimes:
    stages_ms = {name: duration / 1e6 for name, duration in record.stages_ns.items()}
    return PlanTimes(record.tick_ns, record.captured_ns, record.begun_ns, record.accepted_ns, stages_ms)


def _plans(plans: list[PlanTimes]) -> DiagnosticStatus:
    values = [KeyValue(key=key, value=value) for key, value in map(to_text, plans)]
    return DiagnosticStatus(level=DiagnosticStatus.OK, name=PLANS, message="", values=values)


def _stage(name: str, histogram: Histogram) -> DiagnosticStatus:
    one = histogram.summary()
    figures = {
        "count": str(one.samples),
        "p50 ms": f"{one.median_ms:.4f}",
        "p95 ms": f"{one.p95_ms:.4f}",
        "p99 ms": f"{one.p99_ms:.4f}",
        "max ms": f"{one.longest_ms:.4f}",
        "bins": " ".join(f"{place}:{count}" for place, count in enumerate(histogram.counts) if count),
    }
    return DiagnosticStatus(level=DiagnosticStatus.OK, name=STAGE + name, message="", values=_pairs(figures))


def _pairs(values: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in values.items()]
