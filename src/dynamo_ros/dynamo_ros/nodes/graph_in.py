"""The live graph as a node sees it, held against a contract."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from dynamo_policies.contract import Contract
from dynamo_ros.core.authority import TOPIC as AUTHORITY
from dynamo_ros.core.first_look import FirstLook
from dynamo_ros.core.graph_check import End, Graph, GraphError, LiveTopic, Mismatch, Sink, check_graph
from dynamo_ros.nodes.messages import now_ns

TOLD_S = 3.0


class GraphIn:
    """Listens to what comes, and compares graph and messages with the contract when asked."""

    def __init__(self, node: Node, contract: Contract, sinks: Sequence[Sink]) -> None:
        self._node, self._contract, self._sinks = node, contract, sinks
        self._look = FirstLook(contract)
        self.saw = self._look.saw

    def look(self, *, wait_for_all: bool) -> None:
        """Tell what is not there yet; GraphError where something is wrong, unless all is waited for."""
        if not (found := self.check()):
            return
        if not wait_for_all and not all(one.waiting for one in found):
            raise GraphError(found)
        self._node.get_logger().info(f"waits for {'; '.join(map(str, found))}")

    def require(self) -> None:
        """Raise GraphError, naming each difference, unless there is none."""
        if found := self.check():
            raise GraphError(found)

    def fits(self) -> bool:
        """Return whether there is no difference; tell every few seconds what is waited for."""
        if found := self.check():
            text = f"not active yet: {GraphError(found)}"
            self._node.get_logger().warning(text, throttle_duration_sec=TOLD_S)
        return not found

    def check(self) -> tuple[Mismatch, ...]:
        """Return every difference."""
        seen = self._look.seen(now_ns(self._node.get_clock()))
        return check_graph(self._contract, self._graph(), seen, self._sinks)

    def _graph(self) -> Graph:
        streams = [stream.topic for stream in self._contract.streams.values()]
        topics = {*streams, AUTHORITY, *(sink.name for sink in self._sinks if sink.kind == "topic")}
        live = {name: self._topic(name) for name in topics}
        me = f"{self._node.get_namespace().rstrip('/')}/{self._node.get_name()}"
        return Graph(me, live, self._services())

    def _topic(self, name: str) -> LiveTopic:
        offered = self._node.get_publishers_info_by_topic(name)
        asked = self._node.get_subscriptions_info_by_topic(name)
        return LiveTopic(tuple(map(_end, offered)), tuple(map(_end, asked)))

    def _services(self) -> dict[str, tuple[str, ...]]:
        kinds = dict(self._node.get_service_names_and_types())
        found: dict[str, tuple[str, ...]] = {}
        for sink in self._sinks:
            name = f"{sink.name}/_action/send_goal" if sink.kind == "action" else sink.name
            if sink.kind != "topic" and self._node.count_services(name):
                found[sink.name] = tuple(kind.removesuffix("_SendGoal") for kind in kinds.get(name, ()))
        return found


def _end(info: TopicEndpointInfo) -> End:
    profile = info.qos_profile
    best_effort = profile.reliability == QoSReliabilityPolicy.BEST_EFFORT
    return End(
        f"{info.node_namespace.rstrip('/')}/{info.node_name}",
        info.topic_type,
        "best_effort" if best_effort else "reliable",
        latched=profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL,
    )
