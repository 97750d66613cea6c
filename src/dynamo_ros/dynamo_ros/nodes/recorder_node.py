"""Records every stream of a contract as it came, one bag an episode."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ament_index_python.packages import get_package_share_path
from dynamo_interfaces.msg import RecorderState
from dynamo_interfaces.srv import StartEpisode, StopEpisode
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier
from rosidl_runtime_py.utilities import get_message
from std_srvs.srv import Trigger

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.recorder import Recorder
from dynamo_ros.core.recording import EpisodeSummary, RecordingError, Topic
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.messages import now_ns, to_time
from dynamo_ros.nodes.qos import RELIABILITIES
from dynamo_ros.nodes.spin import run

STATE_PERIOD_S = 0.5
# Room in the middleware for a recorder that the operating system or the disk holds up.
QUEUED_MESSAGES = 300


class RecorderNode(Node):
    """Hands messages to a Recorder and answers for it.

    Parameters: `contract` (name or path), `out` (folder of the bags), `extras` (further topics, each as
    `topic:type`).
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("recorder_node", parameter_overrides=overrides)
        contract = find_contract(self.declare_parameter("contract", "xarm_kitchen").value)
        folder = Path(self.declare_parameter("out", "bags").value).expanduser()
        extras = [_extra(text) for text in self.declare_parameter("extras", [""]).value if text]
        self._recorder = Recorder(
            contract, folder, extras, versions={"rmw": get_rmw_implementation_identifier()}
        )
        self._simulated = bool(self.get_parameter("use_sim_time").value)
        self._told_failure = ""
        self._alone: set[str] = set()
        self._refused: set[str] = set()
        self._topics = {topic.name: topic for topic in self._recorder.topics}
        self._subscriptions_by_topic = {
            name: self._subscribe(topic, RELIABILITIES[topic.reliability])
            for name, topic in self._topics.items()
        }
        self.create_service(StartEpisode, "/recorder/start", self._start)
        self.create_service(StopEpisode, "/recorder/stop", self._stop)
        self.create_service(Trigger, "/recorder/discard", self._discard)
        self._state = self.create_publisher(RecorderState, "/recorder/state", 10)
        # The state is for people: it goes on when simulated time stands still.
        self.create_timer(STATE_PERIOD_S, self._tend, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Save what an interrupted episode holds; its outcome is not known."""
        if self._recorder.recording:
            summary = self._recorder.stop("unknown", "interrupted")
            self.get_logger().warning(f"interrupted; {_told(summary)}")
        super().destroy_node()

    def _subscribe(self, topic: Topic, reliability: QoSReliabilityPolicy) -> Subscription:
        depth = max(topic.depth, QUEUED_MESSAGES)
        return self.create_subscription(
            get_message(topic.type),
            topic.name,
            partial(self._saw, topic.name),
            QoSProfile(depth=depth, reliability=reliability),
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda _event: self._refused.add(topic.name)
            ),
        )

    def _saw(self, topic: str, cdr: bytes, info: Mapping[str, int | None]) -> None:
        sequence = info["publication_sequence_number"] if topic in self._alone else None
        self._recorder.saw(topic, cdr, self._received_ns(info), sequence=sequence)

    def _received_ns(self, info: Mapping[str, int | None]) -> int:
        # The middleware stamps a message when it comes in, however long it waits for this thread; but with
        # the system's clock. Simulated time runs at its own pace, so there only the ROS clock will do.
        stamped = int(info["received_timestamp"] or 0)
        return now_ns(self.get_clock()) if self._simulated or not stamped else stamped

    def _start(self, request: StartEpisode.Request, response: StartEpisode.Response) -> StartEpisode.Response:
        self._look_around()
        try:
            path = self._recorder.start(
                request.task, now_ns(self.get_clock()), operator=request.operator_name, note=request.note
            )
        except DynamoError as error:
            response.message = str(error)
            return response
        response.success, response.path = True, str(path)
        return response

    def _stop(self, request: StopEpisode.Request, response: StopEpisode.Response) -> StopEpisode.Response:
        try:
            summary = self._recorder.stop(request.outcome, request.note)
        except DynamoError as error:
            response.message = str(error)
            return response
        response.success, response.message, response.path = (
            not summary.error,
            summary.error,
            str(summary.path),
        )
        response.messages, response.dropped = summary.messages, summary.dropped
        self.get_logger().info(_told(summary))
        return response

    def _discard(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = f"{self._recorder.discard().name} discarded"
        except DynamoError as error:
            response.message = str(error)
            return response
        response.success = True
        return response

    def _tend(self) -> None:
        self._look_around()
        for name in sorted(self._refused):
            self.get_logger().warning(f"the publisher of {name} offers best effort only; recording that")
            self.destroy_subscription(self._subscriptions_by_topic[name])
            self._subscriptions_by_topic[name] = self._subscribe(
                self._topics[name], QoSReliabilityPolicy.BEST_EFFORT
            )
        self._refused.clear()
        if self._recorder.failure != self._told_failure:
            self._told_failure = self._recorder.failure
            self.get_logger().error(self._told_failure)
        self._publish_state()

    def _look_around(self) -> None:
        """Note which topics have one publisher: only there do sequence numbers tell what is missing."""
        self._alone = {name for name in self._topics if self.count_publishers(name) == 1}

    def _publish_state(self) -> None:
        stamp_ns = now_ns(self.get_clock())
        status = self._recorder.status(stamp_ns)
        state = RecorderState(
            recording=status.path is not None, task=status.task, path=str(status.path or "")
        )
        state.header.stamp = to_time(stamp_ns)
        state.messages, state.dropped, state.bytes = status.messages, status.dropped, status.bytes
        state.seconds = status.seconds
        self._state.publish(state)


def _extra(text: str) -> Topic:
    """Return the topic that `TOPIC:TYPE` names, with the definition of its type for the bag."""
    name, _, type_name = text.partition(":")
    parts = type_name.split("/")
    if not name.startswith("/") or len(parts) != 3:
        raise RecordingError(f"extra {text!r} is not of the form /topic:package/msg/Type")
    definition = get_package_share_path(parts[0]).joinpath(parts[1], f"{parts[2]}.msg").read_text("utf-8")
    return Topic(name, type_name, definition=definition)


def _told(summary: EpisodeSummary) -> str:
    size = f"{summary.messages} messages, {summary.bytes / 1e6:.1f} MB, {summary.dropped} dropped"
    return f"{summary.path}: {size}{'; ' if summary.error else ''}{summary.error}"


def main() -> int:
    """Run the recorder until it is interrupted."""
    return run(RecorderNode)
