"""The streams that a policy observes: subscribed once a topic, decoded, handed on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.subscription import Subscription
from rosidl_runtime_py.utilities import get_message

from dynamo_policies.bags import RawMessage, deserialize
from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Sample
from dynamo_policies.streams import ImageStream
from dynamo_ros.core.timings import Timings
from dynamo_ros.nodes.listener import Elsewhere, Listener
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import stream_qos
from dynamo_ros.nodes.receive_times import ReceiveTimes

KEPT = 64  # messages of a stream that wait to be handed on; the oldest are dropped


class Arrival(NamedTuple):
    """What came of one message for one stream."""

    stream: str
    message: Any
    receive_ns: int
    sample: Sample | None  # None: it does not concern the stream, or has a problem
    problem: str
    queue_ns: int
    decode_ns: int


class StreamsIn:
    """Takes and decodes what the observed streams bring, on a thread of its own, until `close`.

    `hand_on`, on the thread of the node, calls `take` with every sample that has come; `refuse` gets the name
    of a stream and what is wrong with its message. `saw` gets each message as it comes, on the other thread.
    On simulated time there is
    no such thread, and each message is handed on at once: so runs can be repeated.
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
        *,
        realtime: int = 0,
    ) -> None:
        self._node, self._take, self._refuse, self._timings, self._saw = node, take, refuse, timings, saw
        self._decoder, self._times = Decoder(contract, frames), ReceiveTimes(node)
        self._streams = contract.observed
        # Each stream has its own, so that fast joint states drive out no image.
        self._arrivals: dict[str, deque[Arrival]] = {name: deque(maxlen=KEPT) for name in contract.observed}
        self._beside = not node.get_parameter("use_sim_time").value
        topics: dict[str, list[str]] = {}
        for name, stream in contract.observed.items():
            topics.setdefault(stream.topic, []).append(name)
        self._subscriptions = [
            self._subscribe(contract, topic, tuple(names)) for topic, names in topics.items()
        ]
        self._listener = Listener(node, self._subscriptions, realtime=realtime) if self._beside else None

    def close(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.close()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._times.close()

    def hand_on(self) -> None:
        """Hand on what has come since the last call, in the order in which it was received."""
        come = [one.popleft() for one in self._arrivals.values() for _ in range(len(one))]
        for arrival in sorted(come, key=lambda one: one.receive_ns):
            self._hand_on(arrival)

    def _subscribe(self, contract: Contract, topic: str, names: tuple[str, ...]) -> Subscription:
        stream = contract.observed[names[0]]
        receive, group = partial(self._receive, names), Elsewhere() if self._beside else None
        kind, qos = get_message(stream.type), stream_qos(stream)
        # As bytes, an image is copied once less.
        raw = isinstance(stream, ImageStream)
        return self._node.create_subscription(kind, topic, receive, qos, callback_group=group, raw=raw)

    def _receive(self, names: tuple[str, ...], message: Any, info: Mapping[str, int | None]) -> None:
        called_ns, (receive_ns, _sent_ns) = now_ns(self._node.get_clock()), self._times.of(info)
        for name in names:
            arrival = self._decoded(name, message, receive_ns, called_ns - receive_ns)
            self._note(arrival)
            self._arrivals[name].append(arrival)
        if not self._beside:
            self.hand_on()

    def _decoded(self, name: str, message: Any, receive_ns: int, queue_ns: int) -> Arrival:
        begun_ns, sample, problem = time.perf_counter_ns(), None, ""
        try:
            if isinstance(message, bytes):
                message = self._message(name, message, receive_ns)
            sample = self._decoder.decode(name, message, receive_ns)
        except DynamoError as error:
            problem = str(error)
        return Arrival(
            name, message, receive_ns, sample, problem, queue_ns, time.perf_counter_ns() - begun_ns
        )

    def _message(self, name: str, cdr: bytes, receive_ns: int) -> Any:
        stream = self._streams[name]
        return deserialize(RawMessage(stream.topic, stream.type, receive_ns, cdr))

    def _note(self, arrival: Arrival) -> None:
        """Do what does not have to wait for, nor hold up, the thread of the node."""
        name, sample = arrival.stream, arrival.sample
        if not isinstance(arrival.message, bytes):  # which are none, as the problem says
            self._saw(name, arrival.message, arrival.receive_ns)
        if sample is not None:
            transport_ns = arrival.receive_ns - sample.stamp_ns
            stages_ns = {"transport": transport_ns, "queue": arrival.queue_ns, "decode": arrival.decode_ns}
            self._timings.arrived(name, sample.stamp_ns, **stages_ns)

    def _hand_on(self, arrival: Arrival) -> None:
        if arrival.problem:
            self._refuse(arrival.stream, arrival.problem)
            self._node.get_logger().error(arrival.problem, throttle_duration_sec=1.0)
        if arrival.sample is not None:
            self._take(arrival.sample)
