"""Messages that a publisher sent and that never arrived, counted by their sequence numbers."""

from __future__ import annotations

from typing import NamedTuple

AT_ONCE = 1000  # So many may be missing however little time has passed: a burst.
SLACK = 10  # The rate may have risen so many times since counting began.


class _Seen(NamedTuple):
    number: int
    receive_ns: int


class SequenceGaps:
    """Counts what is missing between the sequence numbers of one topic's one publisher.

    The middleware overwrites the oldest message of a full queue without a word, even on a reliable topic.
    A gap that is wider than the publisher can have made since the last message is another publisher's.
    """

    def __init__(self) -> None:
        self._first: _Seen | None = None  # of this publisher; the rate is that since then
        self._last: _Seen | None = None
        self._left = 0  # the number from which they went back

    def missing(self, number: int, receive_ns: int) -> int:
        """Return how many messages are missing between the last one and this, received at `receive_ns`."""
        now, first, last = _Seen(number, receive_ns), self._first, self._last
        self._last = now
        if first is None or last is None:
            self._first = now
            return 0
        if number <= last.number:  # The publisher started anew, or there is a second one.
            self._first, self._left = now, last.number
            return 0
        # Numbers that went back and now jump ahead of where they were are those of two publishers in turn.
        gap = 0 if last.number < self._left < number else number - last.number - 1
        possible = gap <= AT_ONCE or _can_be_missing(gap, first, last, now)
        if not possible or receive_ns < last.receive_ns:  # another publisher, or time was set back
            self._first = now
        return gap if possible else 0

    def forget(self) -> None:
        """Forget the last number, because the publisher changed or cannot be told from others."""
        self._first, self._last, self._left = None, None, 0


def _can_be_missing(gap: int, first: _Seen, last: _Seen, now: _Seen) -> bool:
    """Return whether `gap` messages can have been sent from `last` to `now`, at the rate until `last`."""
    sent, taken_ns = last.number - first.number, last.receive_ns - first.receive_ns
    return 0 < gap * taken_ns <= SLACK * sent * (now.receive_ns - last.receive_ns)
