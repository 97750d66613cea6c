"""Subscriptions that match whatever publishers offer, to topics that are found while running."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.subscription import Subscription
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from dynamo_ros.core.bag_topics import ENDLESS, RecordingError, Topic
from dynamo_ros.nodes.definitions import definition_of, message_class
from dynamo_ros.nodes.qos import RELIABILITIES

# Room in the middleware for a recorder that the operating system or the disk holds up.
QUEUED_MESSAGES = 300
# A message is longer than its encapsulation header; rosidl gives even an empty one a member.
HEADER_BYTES = 4
LATCHED = QoSDurabilityPolicy.TRANSIENT_LOCAL
Info = Mapping[str, int | None]
Saw = Callable[[str, bytes, Info], None]
OWN = re.compile(r"/recorder/events|/parameter_events|/rosout|.*/_action/.*|.*/transition_event")


class TopicSubscriptions:
    """Raw subscriptions; `look_around` compares them with what is offered now."""

    def __init__(self, node: Node, saw: Saw) -> None:
        self._node, self._saw = node, saw
        self._made: dict[str, tuple[QoSProfile, Subscription]] = {}
        self._refused: set[str] = set()
        self._hollow: set[str] = set()  # topics of which the middleware gave messages without content
        self._unknown: set[str] = set()
        self._known: dict[str, Topic] = {}  # as last offered
        self.alone: set[str] = set()  # topics with one publisher: there sequence numbers tell what is missing

    def look_around(self, topics: Iterable[Topic], patterns: Sequence[re.Pattern[str]]) -> list[Topic]:
        """Return `topics` and those that match one of `patterns`, with what their publishers offer now."""
        wanted = {topic.name: topic for topic in topics}
        for name, types in self._node.get_topic_names_and_types():
            if name not in wanted and any(pattern.fullmatch(name) for pattern in patterns):
                found = self._found(name, types)
                wanted |= {found.name: found} if found else {}
        return [self._offered(topic) for topic in wanted.values()]

    def follow(self, topics: Iterable[Topic]) -> None:
        """Be subscribed to each of `topics` in a way that its publishers match."""
        for topic in topics:
            profile = QoSProfile(
                depth=max(topic.depth, QUEUED_MESSAGES),
                reliability=RELIABILITIES[topic.reliability],
                durability=LATCHED if topic.latched else QoSDurabilityPolicy.VOLATILE,
            )
            made = self._made.get(topic.name)
            if made is None or made[0] != profile or topic.name in self._hollow:
                self._hollow.discard(topic.name)
                self._subscribe(topic, profile)

    def adapt(self, topics: Mapping[str, Topic]) -> None:
        """Subscribe again where a publisher refused: to what every publisher can offer."""
        for name in sorted(self._refused):
            self._node.get_logger().warning(
                f"the publisher of {name} offers best effort only; recording that"
            )
            profile = QoSProfile(
                depth=self._made[name][0].depth, reliability=QoSReliabilityPolicy.BEST_EFFORT
            )
            self._subscribe(topics[name], profile)
        self._refused.clear()

    def recount(self) -> None:
        """Trust no sequence numbers on a topic that has another number of publishers than one by now."""
        self.alone = {name for name in self.alone if self._node.count_publishers(name) == 1}

    def close(self) -> None:
        """Subscribe to nothing any more."""
        for _, subscription in self._made.values():
            self._node.destroy_subscription(subscription)
        self._made.clear()

    def _subscribe(self, topic: Topic, profile: QoSProfile) -> None:
        if topic.name in self._made:
            self._node.destroy_subscription(self._made.pop(topic.name)[1])
        subscription = self._node.create_subscription(
            message_class(topic.type),
            topic.name,
            partial(self._hear, topic.name),
            profile,
            raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=lambda _event: self._refused.add(topic.name)
            ),
        )
        self._made[topic.name] = profile, subscription

    def _hear(self, topic: str, cdr: bytes, info: Info) -> None:
        """Pass a message on; those without content are none.

        After processes with subscriptions were killed, a reader of Fast DDS 2.14 was seen to give thousands
        of them, stamped in 1970, between the real ones; a new subscription gives none.
        """
        if len(cdr) > HEADER_BYTES:
            self._saw(topic, cdr, info)
        elif topic not in self._hollow:
            self._hollow.add(topic)
            self._node.get_logger().warning(
                f"the middleware gives messages of {len(cdr)} bytes on {topic}, which are none and are not "
                "recorded; it is subscribed to again between episodes"
            )

    def _found(self, name: str, types: Sequence[str]) -> Topic | None:
        if OWN.fullmatch(name) or name in self._unknown:
            return None
        try:
            if len(types) != 1:
                raise RecordingError(f"{name} has {len(types)} types: {', '.join(types)}")
            message_class(types[0])
            # Best effort is heard from whoever may come; of publishers that are there, `_offered` knows more.
            return Topic(name, types[0], "best_effort", definition=definition_of(types[0]))
        except RecordingError as error:
            self._unknown.add(name)
            self._node.get_logger().warning(f"not recorded: {error}")
            return None

    def _offered(self, topic: Topic) -> Topic:
        ends = self._node.get_publishers_info_by_topic(topic.name)
        (self.alone.add if len(ends) == 1 else self.alone.discard)(topic.name)
        if not ends:  # What a publisher said once holds though it is gone.
            return self._known.get(topic.name, topic)
        profiles = [end.qos_profile for end in ends]
        best_effort = any(one.reliability == QoSReliabilityPolicy.BEST_EFFORT for one in profiles)
        self._known[topic.name] = topic._replace(
            reliability="best_effort" if best_effort else "reliable",
            latched=all(one.durability == LATCHED for one in profiles),
            offered=tuple(bag_qos(one) for one in profiles),
        )
        return self._known[topic.name]


def bag_qos(profile: QoSProfile) -> Qos:
    """Return a profile as bags have it; what the graph does not tell is written as unknown."""
    return Qos(
        _named(QosHistory, profile.history, QoSHistoryPolicy.UNKNOWN),
        profile.depth,
        _named(QosReliability, profile.reliability, QoSReliabilityPolicy.UNKNOWN),
        _named(QosDurability, profile.durability, QoSDurabilityPolicy.UNKNOWN),
        _time(profile.deadline),
        _time(profile.lifespan),
        _named(QosLiveliness, profile.liveliness, QoSLivelinessPolicy.UNKNOWN),
        _time(profile.liveliness_lease_duration),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )


def _named(kind: type, policy: object, unknown: object) -> object:
    """Return the member of `kind` with the policy's name."""
    name = getattr(policy, "name", getattr(unknown, "name", ""))
    return kind[name] if name in kind.__members__ else kind["UNKNOWN"]


def _time(duration: Duration) -> QosTime:
    if duration.nanoseconds >= 2**63 - 1 or duration.nanoseconds == 0:
        return ENDLESS
    return QosTime(duration.nanoseconds // 10**9, duration.nanoseconds % 10**9)
