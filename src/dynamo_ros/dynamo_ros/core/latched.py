"""What was said once and still holds: `/tf_static`, `/robot_description` and the like."""

from __future__ import annotations

from collections.abc import Collection

from dynamo_ros.core.bag_files import Item

# A topic may have several publishers, each with a last word of its own: so many are kept.
LARGEST = 64


class Latched:
    """Keeps the distinct messages of latched topics.

    A topic on which more is said than is kept is a stream: of that the newest message alone holds.
    """

    def __init__(self, topics: Collection[str]) -> None:
        self._said: dict[str, dict[bytes, Item]] = {topic: {} for topic in topics}
        self._streams: set[str] = set()

    def topics(self, topics: Collection[str]) -> None:
        """From now on keep those of `topics`, and what is known of them already."""
        self._said = {topic: self._said.get(topic, {}) for topic in topics}

    def saw(self, item: Item) -> None:
        """Take note of a message; one of another topic is let go."""
        said = self._said.get(item.topic)
        if said is None:
            return
        said.pop(item.data, None)
        if len(said) >= LARGEST:
            self._streams.add(item.topic)
        if item.topic in self._streams:
            said.clear()
        said[item.data] = item

    @property
    def items(self) -> list[Item]:
        """The messages to say again."""
        return [item for said in self._said.values() for item in said.values()]
