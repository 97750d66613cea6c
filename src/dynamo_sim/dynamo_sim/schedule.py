"""When something with a rate is due, on a clock that moves in steps."""

from __future__ import annotations


class Schedule:
    """Falls due at the first step at or after each multiple of its period; no drift, whatever the step."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_mhz = round(rate_hz * 1000)
        self._count = 0

    def skip_to(self, now_ns: int) -> None:
        """Let everything up to `now_ns` count as done."""
        self._count = self._passed(now_ns)

    def due(self, now_ns: int) -> bool:
        """Return whether a multiple of the period has passed since the last call that returned True."""
        passed = self._passed(now_ns)
        if passed == self._count:
            return False
        self._count = passed
        return True

    def _passed(self, now_ns: int) -> int:
        return now_ns * self._rate_mhz // 10**12
