"""Messages that a publisher sent and that never arrived, counted by their sequence numbers."""

from __future__ import annotations


class SequenceGaps:
    """Counts what is missing between the sequence numbers of one topic's one publisher.

    The middleware overwrites the oldest message of a full queue without a word, even on a reliable topic.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def missing(self, number: int) -> int:
        """Return how many messages are missing between the last one and this one."""
        last, self._last = self._last, number
        # A number that does not grow is that of a publisher that started anew.
        return max(number - last - 1, 0) if last is not None and number > last else 0

    def forget(self) -> None:
        """Forget the last number, because the publisher changed or cannot be told from others."""
        self._last = None
