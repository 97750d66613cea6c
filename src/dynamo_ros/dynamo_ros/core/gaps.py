"""Messages that a publisher sent and that never arrived, counted by their sequence numbers."""

from __future__ import annotations

LARGEST = 1000  # What is wider is no gap but another publisher.


class SequenceGaps:
    """Counts what is missing between the sequence numbers of one topic's one publisher.

    The middleware overwrites the oldest message of a full queue without a word, even on a reliable topic.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._left = 0  # the number from which they went back

    def missing(self, number: int) -> int:
        """Return how many messages are missing between the last one and this one."""
        last, self._last = self._last, number
        if last is None:
            return 0
        if number <= last:  # The publisher started anew, or there is a second one.
            self._left = last
            return 0
        # Numbers that went back and now jump ahead of where they were are those of two publishers in turn.
        gap = 0 if last < self._left < number else number - last - 1
        return gap if gap <= LARGEST else 0

    def forget(self) -> None:
        """Forget the last number, because the publisher changed or cannot be told from others."""
        self._last, self._left = None, 0
