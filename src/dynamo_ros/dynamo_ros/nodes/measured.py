"""Joint streams of the contract, decoded as the network sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rclpy.node import Node
from sensor_msgs.msg import JointState

from dynamo_policies.contract import Contract
from dynamo_policies.decode import DecodeError, Decoder, FrameSettings
from dynamo_policies.observation import Sample
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import stream_qos


class JointReader:
    """Calls `take` with every sample of the joint streams `names` of a contract."""

    def __init__(
        self, node: Node, contract: Contract, names: Sequence[str], take: Callable[[Sample], object]
    ) -> None:
        self._node, self._take = node, take
        self._decoder = Decoder(contract, FrameSettings())
        self._subscriptions = []
        topics: dict[str, list[str]] = {}
        for name in names:
            topics.setdefault(contract.streams[name].topic, []).append(name)
        for topic, streams in topics.items():
            qos = stream_qos(contract.streams[streams[0]])
            read = partial(self._read, streams)
            self._subscriptions.append(node.create_subscription(JointState, topic, read, qos))

    def destroy(self) -> None:
        """Take the subscriptions off the node."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _read(self, names: Sequence[str], message: JointState) -> None:
        for name in names:
            try:
                sample = self._decoder.decode(name, message, now_ns(self._node.get_clock()))
            except DecodeError as error:
                # As good as no message: whoever needs the stream sees it go stale and stops.
                self._node.get_logger().error(str(error), throttle_duration_sec=1.0)
                continue
            if sample is not None:
                self._take(sample)
