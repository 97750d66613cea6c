"""The streams that a policy observes: subscribed once a topic, decoded, handed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from rosidl_runtime_py.utilities import get_message

from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Sample
from dynamo_ros.core.timings import Timings
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import stream_qos
from dynamo_ros.nodes.receive_times import ReceiveTimes


class StreamsIn:
    """Calls `take` with every sample of the observed streams until `close`.

    `refuse` gets the name of a stream and what is wrong with its message; `saw` each message as it came.
    """

    def __init__(
        self,
        node: Node,
        contract: Contract,
        frames: FrameSettings,
        take: Callable[[Sample], object],
        refuse: Callable[[str, str], object],
        timings: Timings,
        saw: Callable[[str, Any, int], object] = lambda _name, _message, _receive_ns: None,
    ) -> None:
        self._node, self._take, self._refuse, self._timings, self._saw = node, take, refuse, timings, saw
        self._decoder, self._times = Decoder(contract, frames), ReceiveTimes(node)
        topics: dict[str, list[str]] = {}
        for name, stream in contract.observed.items():
            topics.setdefault(stream.topic, []).append(name)
        self._subscriptions = [
            self._subscribe(contract, topic, tuple(names)) for topic, names in topics.items()
        ]

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._times.close()

    def _subscribe(self, contract: Contract, topic: str, names: tuple[str, ...]) -> Subscription:
        stream = contract.observed[names[0]]
        receive = partial(self._receive, names)
        return self._node.create_subscription(get_message(stream.type), topic, receive, stream_qos(stream))

    def _receive(self, names: tuple[str, ...], message: Any, info: Mapping[str, int | None]) -> None:
        called_ns, (receive_ns, _sent_ns) = now_ns(self._node.get_clock()), self._times.of(info)
        for name in names:
            self._saw(name, message, receive_ns)
            begun_ns = time.perf_counter_ns()
            try:
                sample = self._decoder.decode(name, message, receive_ns)
            except DynamoError as error:
                self._refuse(name, str(error))
                self._node.get_logger().error(str(error), throttle_duration_sec=1.0)
                continue
            if sample is not None:
                self._timings.arrived(
                    name,
                    sample.stamp_ns,
                    transport=receive_ns - sample.stamp_ns,
                    queue=called_ns - receive_ns,
                    decode=time.perf_counter_ns() - begun_ns,
                )
                self._take(sample)
