"""What a recorder hears, whether an episode goes on or not."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_policies.contract import Contract
from dynamo_ros.core.bag_files import Item
from dynamo_ros.core.bag_topics import Topic
from dynamo_ros.core.gaps import SequenceGaps
from dynamo_ros.core.gate_topics import gate_topics
from dynamo_ros.core.heard import Heard
from dynamo_ros.core.latched import Latched
from dynamo_ros.core.preroll import PreRoll


class Listening:
    """Knows the topics that are recorded, what never came of them, and what an episode begins with."""

    def __init__(
        self, contract: Contract, topics: Sequence[Topic], *, preroll_s: float, preroll_bytes: int
    ) -> None:
        # What a gate heard is how things are: what was said before that holds no more.
        states = {one.topic for one in gate_topics(contract)}
        self._heard, self._latched = Heard(contract), Latched((), states=states)
        self._estop = contract.gates.estop.topic  # said once, with or without a publisher that latches it
        self._preroll = PreRoll(preroll_s, preroll_bytes)
        # What goes stale is not said once, however it is offered.
        self._stale = {stream.topic for stream in contract.streams.values() if stream.max_age_ns is not None}
        self._gaps: dict[str, SequenceGaps] = {}
        self.topics: dict[str, Topic] = {}
        self.listen(topics)

    @property
    def silent(self) -> tuple[str, ...]:
        """The observed streams that have not spoken yet, each with its topic."""
        return self._heard.silent

    @property
    def unheard(self) -> tuple[str, ...]:
        """The streams of any role that have not spoken yet, each with its topic."""
        return self._heard.unheard

    def listen(self, topics: Sequence[Topic]) -> None:
        """Hear `topics` as well, with what is now known of them."""
        self.topics |= {topic.name: topic for topic in topics}
        latched = {name for name, topic in self.topics.items() if topic.latched or name == self._estop}
        self._latched.topics(sorted(latched - self._stale))
        for name in self.topics:
            self._gaps.setdefault(name, SequenceGaps())

    def saw(self, item: Item, sequence: int | None) -> int:
        """Take a message and return how many before it were published and never came.

        `sequence` is its number among those of the topic's publisher, None where that can't be told.
        """
        self._heard.saw(item.topic, item.data)
        self._latched.saw(item)
        if sequence is None:
            self._gaps[item.topic].forget()
            return 0
        return self._gaps[item.topic].missing(sequence, item.receive_ns)

    def keep(self, item: Item) -> None:
        """Keep a message that came between episodes, for the beginning of the next one."""
        self._preroll.push(item)

    def lacking_s(self, now_ns: int) -> float:
        """Return how many of the last seconds before `now_ns` are not kept, as they have too many bytes."""
        return self._preroll.lacking_s(now_ns)

    def beginning(self, now_ns: int) -> list[Item]:
        """Return what was said before an episode and holds during it, then the last seconds before it."""
        before = self._preroll.take(now_ns)
        start_ns = before[0].receive_ns if before else now_ns
        there = {id(item.data) for item in before}
        held = [Item(message.topic, message.cdr, start_ns) for message in self._heard.latched]
        held += [item._replace(receive_ns=start_ns) for item in self._latched.items]
        again = {id(item.data): item for item in held if id(item.data) not in there}
        return [*again.values(), *before]

    def forget_the_last_seconds(self) -> None:
        """Let the next episode begin with nothing from before now."""
        self._preroll.clear()
