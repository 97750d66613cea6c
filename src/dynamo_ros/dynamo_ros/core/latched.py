"""What was said once and still holds, on the topics that a recorder hears."""

from __future__ import annotations

from collections.abc import Collection

from dynamo_policies.last_words import LastWords
from dynamo_ros.core.bag_files import Item


class Latched:
    """Keeps the distinct messages of latched topics, of `states` the newest alone; see `LastWords`."""

    def __init__(self, topics: Collection[str], *, states: Collection[str] = ()) -> None:
        self._states, self._said = frozenset(states), dict[str, LastWords[Item]]()
        self.topics(topics)

    def topics(self, topics: Collection[str]) -> None:
        """From now on keep those of `topics`, and what is known of them already."""
        self._said = {topic: self._said.get(topic) or self._words(topic) for topic in topics}

    def saw(self, item: Item) -> None:
        """Take note of a message; one of another topic is let go."""
        said = self._said.get(item.topic)
        if said is not None:
            said.add(item.data, item)

    @property
    def items(self) -> list[Item]:
        """The messages to say again."""
        return [item for said in self._said.values() for item in said.words]

    def _words(self, topic: str) -> LastWords[Item]:
        return LastWords(topic, most=1) if topic in self._states else LastWords(topic)
