"""How fast a simulated station may go."""

from __future__ import annotations

from typing import NamedTuple

# After this much real time without a word, a commander counts as gone.
GONE_NS = 250_000_000
LONGEST_INTERVAL_NS = 100_000_000
# A station that falls behind by more than this does not try to make up for it.
BEHIND_NS = 100_000_000


class _Commander(NamedTuple):
    stamp_ns: int
    interval_ns: int
    heard_ns: int  # real time


class Pacer:
    """Keeps a station to a real-time factor, and from running away from those who command it.

    `real_time_factor` 0 means as fast as it can. With `max_command_age_ns`, the station waits for a commander
    whose next command is late by more than that in simulated time: the factor then falls to what the
    commanders can keep up with, and what they recorded is as if they had been in time. 0 switches it off, and
    late commands are late.
    """

    def __init__(self, *, real_time_factor: float, max_command_age_ns: int = 0) -> None:
        self._factor, self._max_age_ns = real_time_factor, max_command_age_ns
        self._anchor: tuple[int, int] | None = None  # simulated and real time that belong together
        self._commanders: dict[str, _Commander] = {}

    def heard(self, commander: str, stamp_ns: int, wall_ns: int) -> None:
        """Take note of a command stamped `stamp_ns` that arrived at the real time `wall_ns`."""
        last = self._commanders.get(commander)
        interval_ns = LONGEST_INTERVAL_NS if last is None else stamp_ns - last.stamp_ns
        bounded = interval_ns if 0 < interval_ns < LONGEST_INTERVAL_NS else LONGEST_INTERVAL_NS
        self._commanders[commander] = _Commander(stamp_ns, bounded, wall_ns)

    def forget_commanders(self) -> None:
        """Wait for nobody until the next command, as after a reset."""
        self._commanders.clear()

    def may_advance(self, to_ns: int, wall_ns: int) -> bool:
        """Return whether the station may go on to the simulated time `to_ns` at the real time `wall_ns`."""
        return not self._is_ahead(to_ns, wall_ns) and not self._is_waiting(to_ns, wall_ns)

    def _is_ahead(self, to_ns: int, wall_ns: int) -> bool:
        if self._factor <= 0.0:
            return False
        sim_0, wall_0 = self._anchor or (to_ns, wall_ns)
        due_ns = sim_0 + (wall_ns - wall_0) * self._factor
        if self._anchor is None or due_ns - to_ns > BEHIND_NS * self._factor:
            self._anchor = (to_ns, wall_ns)
            return False
        return to_ns > due_ns

    def _is_waiting(self, to_ns: int, wall_ns: int) -> bool:
        if self._max_age_ns <= 0:
            return False
        alive = [c for c in self._commanders.values() if wall_ns - c.heard_ns < GONE_NS]
        return any(to_ns > c.stamp_ns + c.interval_ns + self._max_age_ns for c in alive)
