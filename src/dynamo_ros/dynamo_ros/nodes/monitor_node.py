"""Tells while a robot runs which of its sensors are slow, frozen or dead, recorded or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.subscription import Subscription
from rich.live import Live
from rosidl_runtime_py.utilities import get_message

from dynamo_policies.limits import Colour
from dynamo_policies.streams import Stream
from dynamo_ros.core.health_table import health_table
from dynamo_ros.core.live_health import LiveHealth, News, StreamHealth
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.messages import now_ns, to_time
from dynamo_ros.nodes.qos import RELIABILITIES
from dynamo_ros.nodes.spin import run

LOOK_PERIOD_S = 0.1
TOLD_EVERY = 5  # looks: /diagnostics at 2 Hz, and at once when something changes
LEVELS: dict[Colour, bytes] = {
    "green": DiagnosticStatus.OK,
    "amber": DiagnosticStatus.WARN,
    "red": DiagnosticStatus.ERROR,
}


class MonitorNode(Node):
    """Hands messages to a LiveHealth and publishes what it says.

    Parameters: `contract` (name or path), `view` (show a table in this terminal).
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("monitor_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        self._health, self._news, self._looks = LiveHealth(contract), News(), 0
        self._simulated = bool(self.get_parameter("use_sim_time").value)
        self._streams: dict[str, Stream] = {stream.topic: stream for stream in contract.streams.values()}
        self._refused: set[str] = set()
        self._subscriptions_by_topic = {
            topic: self._subscribe(stream, RELIABILITIES[stream.reliability])
            for topic, stream in self._streams.items()
        }
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._view = Live(auto_refresh=False) if self.declare_parameter("view", value=False).value else None
        if self._view is not None:
            self._view.start()
        self.create_timer(LOOK_PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Give the terminal back."""
        if self._view is not None:
            self._view.stop()
        super().destroy_node()

    def _subscribe(self, stream: Stream, reliability: QoSReliabilityPolicy) -> Subscription:
        return self.create_subscription(
            get_message(stream.type),
            stream.topic,
            partial(self._saw, stream.topic),
            QoSProfile(depth=stream.depth, reliability=reliability),
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda _event: self._refused.add(stream.topic)
            ),
        )

    def _saw(self, topic: str, cdr: bytes, info: Mapping[str, int | None]) -> None:
        # As in the recorder: the middleware's time of receipt, but not where time is simulated.
        stamped = int(info["received_timestamp"] or 0)
        receive_ns = now_ns(self.get_clock()) if self._simulated or not stamped else stamped
        self._health.saw(topic, cdr, receive_ns)

    def _look(self) -> None:
        self._settle_for_best_effort()
        states = self._health.look(now_ns(self.get_clock()))
        changed = self._news.of(states)
        self._looks += 1
        for state in changed:
            self._tell(state)
        if changed or self._looks % TOLD_EVERY == 0:
            self._publish(states)

    def _settle_for_best_effort(self) -> None:
        for topic in sorted(self._refused):
            self.destroy_subscription(self._subscriptions_by_topic[topic])
            self._subscriptions_by_topic[topic] = self._subscribe(
                self._streams[topic], QoSReliabilityPolicy.BEST_EFFORT
            )
        self._refused.clear()

    def _tell(self, state: StreamHealth) -> None:
        if state.colour == "green":
            self.get_logger().info(f"{state.stream} is fine again: {state.text}")
        elif state.colour == "amber":
            self.get_logger().warning(f"{state.stream}: {state.text}")
        else:
            self.get_logger().error(f"{state.stream}: {state.text}")

    def _publish(self, states: Sequence[StreamHealth]) -> None:
        message = DiagnosticArray(status=[_status(state) for state in states])
        message.header.stamp = to_time(now_ns(self.get_clock()))
        self._diagnostics.publish(message)
        if self._view is not None:
            self._view.update(health_table(states), refresh=True)


def _status(state: StreamHealth) -> DiagnosticStatus:
    values = [KeyValue(key=name, value=f"{value:.4g}") for name, value in state.figures.items()]
    return DiagnosticStatus(
        level=LEVELS[state.colour],
        name=f"dynamo stream {state.stream}",
        message=state.text,
        values=values,
    )


def main() -> int:
    """Watch the streams until interrupted."""
    return run(MonitorNode)
