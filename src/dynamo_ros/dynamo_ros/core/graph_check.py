"""Whether the live graph is the one that a contract describes: every difference is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.streams import Stream
from dynamo_ros.core.authority import TOPIC as AUTHORITY
from dynamo_ros.core.first_look import Seen


class End(NamedTuple):
    """A publisher or a subscription."""

    node: str  # with its namespace
    type: str
    reliability: Literal["reliable", "best_effort"] = "reliable"
    latched: bool = False  # durability transient local


class LiveTopic(NamedTuple):
    """What the graph tells of one topic."""

    publishers: tuple[End, ...] = ()
    subscribers: tuple[End, ...] = ()


class Graph(NamedTuple):
    """What the graph tells, as the node called `me` sees it."""

    me: str
    topics: Mapping[str, LiveTopic]
    services: Mapping[str, tuple[str, ...]]  # types of those that have a server; actions by their name


class Sink(NamedTuple):
    """What a driver is commanded through."""

    kind: Literal["topic", "service", "action"]
    name: str
    type: str


class Mismatch(NamedTuple):
    """One difference between contract and graph."""

    what: str
    given: str
    expected: str
    waiting: bool = False  # it may still come by itself

    def __str__(self) -> str:
        return f"{self.what}: {self.given}, expected {self.expected}"


class GraphError(DynamoError):
    """The live graph is not what the contract says."""

    def __init__(self, found: Sequence[Mismatch]) -> None:
        texts = "; ".join(map(str, found))
        super().__init__(f"the live graph does not fit the contract in {len(found)} points: {texts}")


def check_graph(
    contract: Contract, graph: Graph, seen: Mapping[str, Seen], sinks: Sequence[Sink]
) -> tuple[Mismatch, ...]:
    """Return every difference; without `sinks` it is not asked who takes commands and who else gives them."""
    streams: dict[str, list[str]] = {}
    for name, stream in contract.observed.items():
        streams.setdefault(stream.topic, []).append(name)
    found = [one for topic, names in streams.items() for one in _topic(contract, graph, topic, names)]
    for name, stream in contract.observed.items():
        found += _stream(contract, name, stream, seen.get(name, Seen()), _live(graph, stream.topic))
    if sinks:
        found += [one for sink in sinks for one in _sink(graph, sink)]
        found += _commanders(contract, graph, sinks)
    return tuple(found)


def _topic(contract: Contract, graph: Graph, topic: str, names: Sequence[str]) -> Iterator[Mismatch]:
    """Compare what is offered on a topic of some streams."""
    stream, live = contract.observed[names[0]], _live(graph, topic)
    what = f"{topic} ({', '.join(names)})"
    if not live.publishers:
        yield Mismatch(what, "no publisher", f"one of {stream.type}", waiting=True)
        return
    yield from _types(what, live.publishers, stream.type)
    if len(live.publishers) > len(names):  # streams that share a topic may come from one node each
        expected = "one" if len(names) == 1 else f"at most {len(names)}"
        yield Mismatch(what, f"{len(live.publishers)} publishers, {_nodes(live.publishers)}", expected)
    lossy = [end for end in live.publishers if end.reliability == "best_effort"]
    if lossy and stream.reliability == "reliable":
        yield Mismatch(what, f"{_nodes(lossy)} offers best_effort", "reliable, which best_effort can't serve")


def _stream(contract: Contract, name: str, stream: Stream, seen: Seen, live: LiveTopic) -> Iterator[Mismatch]:
    """Compare what has come of a stream."""
    what = f"{stream.topic} ({name})"
    for given, expected in seen.wrong:
        yield Mismatch(what, given, expected)
    if not seen.messages:
        if any(end.type == stream.type for end in live.publishers) and not seen.wrong:
            yield Mismatch(what, "nothing has come", f"{stream.rate_hz:g} Hz", waiting=True)
        return
    limits = contract.quality.of(name)
    if stream.max_age_ns is not None:
        yield from _rate(what, stream, seen, limits.rate.red)
    if seen.age_ms is not None and limits.offset_ms.over(abs(seen.age_ms)) == "red":
        way = "before it was received" if seen.age_ms > 0 else "after it was received"
        yield Mismatch(
            what, f"stamped {abs(seen.age_ms):.0f} ms {way}", f"at most {limits.offset_ms.red:g} ms"
        )


def _rate(what: str, stream: Stream, seen: Seen, least: float | None) -> Iterator[Mismatch]:
    due = f"{stream.rate_hz:g} Hz"
    if seen.rate_hz is None:
        yield Mismatch(what, f"heard for {seen.span_s:.1f} s only", f"{seen.needed_s:.1f} s", waiting=True)
    elif least is not None and least > 0.0 and not least <= seen.rate_hz / stream.rate_hz <= 1.0 / least:
        yield Mismatch(
            what, f"{seen.rate_hz:.1f} Hz", f"{due} ({least * 100:.0f} to {100 / least:.0f} %)", waiting=True
        )


def _sink(graph: Graph, sink: Sink) -> Iterator[Mismatch]:
    """Compare what takes commands."""
    if sink.kind != "topic":
        kinds = graph.services.get(sink.name, ())
        if not kinds:
            yield Mismatch(f"{sink.kind} {sink.name}", "no server", f"one of {sink.type}", waiting=True)
        elif sink.type not in kinds:
            yield Mismatch(f"{sink.kind} {sink.name}", f"type {' and '.join(kinds)}", sink.type)
        return
    live, what = _live(graph, sink.name), f"{sink.name} (commands)"
    if not live.subscribers:
        yield Mismatch(what, "no subscriber", f"a driver that takes {sink.type}", waiting=True)
    yield from _types(what, live.subscribers, sink.type)
    if latched := [end for end in live.subscribers if end.latched]:
        yield Mismatch(what, f"{_nodes(latched)} asks for transient local", "volatile")


def _commanders(contract: Contract, graph: Graph, sinks: Sequence[Sink]) -> Iterator[Mismatch]:
    """Find who else commands; those that speak on the topic of authority let one another go."""
    polite = {end.node for end in _live(graph, AUTHORITY).publishers} - {graph.me}
    targets = [stream.topic for stream in contract.streams.values() if stream.role == "action"]
    for topic in dict.fromkeys([*(sink.name for sink in sinks if sink.kind == "topic"), *targets]):
        publishers = _live(graph, topic).publishers
        mine = [end for end in publishers if end.node == graph.me]
        others = [end for end in publishers if end.node not in polite and end.node != graph.me] + mine[1:]
        if others:
            expected = f"none beside {graph.me} but those that speak on {AUTHORITY}"
            yield Mismatch(f"{topic} (commands)", f"another commander, {_nodes(others)}", expected)


def _types(what: str, ends: Sequence[End], expected: str) -> Iterator[Mismatch]:
    for end in ends:
        if end.type != expected:
            yield Mismatch(what, f"{end.node} has type {end.type}", expected)


def _live(graph: Graph, topic: str) -> LiveTopic:
    return graph.topics.get(topic, LiveTopic())


def _nodes(ends: Sequence[End]) -> str:
    return " and ".join(end.node for end in ends)
