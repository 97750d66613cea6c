"""What the inference node says about itself: on /diagnostics, and on ~/stopped why the arm is stopped."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from std_msgs.msg import String

from dynamo_ros.core.commander import StopReason
from dynamo_ros.core.runner import Runner
from dynamo_ros.nodes.messages import now_ns, to_time

NAME, ACTIVE = "dynamo inference", "active"


class HealthPublisher:
    """Publishes a runner's state, counts and durations."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self._stopped = node.create_publisher(String, "~/stopped", latched)
        self._told_stop = ""
        self._stopped.publish(String())  # whoever heard of a stop of the node before hears that it is over

    def tell_stop(self, stopped: StopReason | None) -> None:
        """Say why the arm is stopped, or by an empty text that it no longer is, where that is news."""
        text = "" if stopped is None else f"{stopped.kind}: {stopped.text}"
        if text == self._told_stop:
            return
        self._told_stop = text
        self._stopped.publish(String(data=text))
        if text:
            self._node.get_logger().error(f"stopped: {text}; call ~/rearm to go on")

    def publish(self, runner: Runner, *, active: bool, task: str) -> None:
        """Publish how `runner` does now."""
        level, text = _verdict(runner, active=active)
        status = DiagnosticStatus(level=level, name=NAME, message=text)
        values = {"task": task, ACTIVE: str(active), **_values(runner)}
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = to_time(now_ns(self._node.get_clock()))
        self._publisher.publish(message)


def _verdict(runner: Runner, *, active: bool) -> tuple[bytes, str]:
    if runner.stopped is not None:
        return DiagnosticStatus.ERROR, f"stopped: {runner.stopped.kind}: {runner.stopped.text}"
    if not active:
        return DiagnosticStatus.OK, "inactive"
    if wants := runner.gates.wants():
        return DiagnosticStatus.WARN, f"running, {'; '.join(wants.values())}"
    if runner.counts.skipped or runner.counts.stale or runner.counts.late:
        return DiagnosticStatus.WARN, "running, with ticks left out"
    return DiagnosticStatus.OK, "running"


def _values(runner: Runner) -> dict[str, str]:
    counts = {name: str(value) for name, value in vars(runner.counts).items()}
    timings = {
        f"{stage} ms": f"median {one.median_ms:.2f}, p95 {one.p95_ms:.2f}, longest {one.longest_ms:.2f}"
        for stage, one in runner.timings.summary().items()
    }
    trips = {f"gate {name}": str(count) for name, count in runner.gates.trips.items()}
    seen = runner.seen
    ratio = {} if seen is None or seen.nearest is None else {"novelty": f"{seen.nearest.ratio:.3f}"}
    return {"authority": runner.authority} | counts | trips | ratio | timings
