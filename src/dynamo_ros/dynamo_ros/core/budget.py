"""How old what a command rests on may be."""

from __future__ import annotations

from collections.abc import Mapping


class Budget:
    """Knows the capture of the newest plan that is commanded, and refuses what is older than `limit_ns`.

    A plan counts from the stamp of its oldest image. Earlier plans that are averaged in do not count: chunks
    overlap by intent, and the newest one knows what they did not.
    """

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._observed = (0, 0)  # tick and capture of the observation that is being thought about
        self._captured_ns: int | None = None

    def clear(self) -> None:
        """Forget all plans."""
        self._captured_ns = None

    def observe(self, tick_ns: int, stamps_ns: Mapping[str, int]) -> None:
        """Take note of the observation of `tick_ns`, whose images have these stamps."""
        self._observed = tick_ns, min(stamps_ns.values(), default=tick_ns)

    def take(self, tick_ns: int, now_ns: int) -> bool:
        """Return whether the plan for `tick_ns` is young enough; commands then rest on it."""
        tick_seen_ns, captured_ns = self._observed
        captured_ns = captured_ns if tick_seen_ns == tick_ns else tick_ns
        if now_ns - captured_ns > self._limit_ns:
            return False
        self._captured_ns = captured_ns
        return True

    def age_ns(self, now_ns: int) -> int | None:
        """Return how old what a command given now rests on is; None where there is no plan."""
        return None if self._captured_ns is None else now_ns - self._captured_ns

    def over(self, now_ns: int) -> bool:
        """Return whether a command given now would be too old."""
        age_ns = self.age_ns(now_ns)
        return age_ns is not None and age_ns > self._limit_ns
