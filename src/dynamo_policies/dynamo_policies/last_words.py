"""What was said once on a topic and still holds: `/tf_static`, `/robot_description` and the like."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

# A topic may have several publishers, each with a last word of its own: so many are kept.
LARGEST = 64
# Static transforms are never a stream, as each broadcaster has its own: of these the newest are kept.
LARGEST_STATIC = 1000
STATIC = "tf_static"  # also in a robot's namespace

Word = TypeVar("Word")


class LastWords(Generic[Word]):
    """The distinct messages of one topic.

    A topic on which more is said than is kept is a stream: of that the newest message alone holds.
    """

    def __init__(self, topic: str, most: int = LARGEST) -> None:
        self._static = topic.rpartition("/")[2] == STATIC
        self._most = LARGEST_STATIC if self._static else most
        self._said: dict[Hashable, Word] = {}

    def __contains__(self, content: Hashable) -> bool:
        return content in self._said

    def add(self, content: Hashable, word: Word) -> None:
        """Take in `word`, in place of one with the same content."""
        self._said.pop(content, None)
        if len(self._said) >= self._most:
            self._make_room()
        self._said[content] = word

    @property
    def words(self) -> Collection[Word]:
        """What holds, oldest first."""
        return self._said.values()

    def _make_room(self) -> None:
        if self._static:
            del self._said[next(iter(self._said))]
        else:
            self._said.clear()
            self._most = 1
