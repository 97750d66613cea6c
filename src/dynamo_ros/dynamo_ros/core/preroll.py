"""The last seconds before an episode, kept so that they can be its beginning."""

from __future__ import annotations

from collections import deque

from dynamo_ros.core.bag_files import Item


class PreRoll:
    """Holds the messages of the last `seconds`, at most `limit_bytes` of them."""

    def __init__(self, seconds: float, limit_bytes: int) -> None:
        self._span_ns, self._limit = int(seconds * 1e9), limit_bytes
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._gone_ns: int | None = None  # when the newest one was received that is held no more

    def push(self, item: Item) -> None:
        """Take in a message and let go of those that are too old by it."""
        if self._items and item.receive_ns < self._items[-1].receive_ns - self._span_ns:
            self.clear()  # Time was set back.
        self._items.append(item)
        self._bytes += len(item.data)
        oldest_ns = item.receive_ns - self._span_ns
        while self._items and (self._items[0].receive_ns < oldest_ns or self._bytes > self._limit):
            gone = self._items.popleft()
            self._bytes -= len(gone.data)
            self._gone_ns = gone.receive_ns

    def lacking_s(self, now_ns: int) -> float:
        """Return how much of the span before `now_ns` is not held, because it has too many bytes."""
        if self._gone_ns is None:
            return 0.0
        lacking_ns = self._gone_ns - (now_ns - self._span_ns)
        return min(max(0, lacking_ns), self._span_ns) / 1e9  # More only if time was set back.

    def take(self, now_ns: int) -> list[Item]:
        """Return what was received within the span before `now_ns`, oldest first, and keep nothing."""
        items = [item for item in self._items if item.receive_ns >= now_ns - self._span_ns]
        self.clear()
        return items

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._bytes, self._gone_ns = 0, None
