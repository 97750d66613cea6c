"""Which finger a thumb pinches: once for each pinch, however noisy the distances."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_policies.errors import ConfigError


class PinchReader:
    """Says which finger is pinched, once for each pinch.

    A pinch begins when the nearest fingertip is less than `closes_m` from the thumb's and ends when none is
    nearer than `opens_m`. Neighbouring tips are often both within reach, and a thumb on its way to the pinky
    passes the ring finger: it is the finger that is nearest after `settle_s` that is meant.
    """

    def __init__(self, *, closes_m: float, opens_m: float, settle_s: float) -> None:
        if not 0.0 < closes_m <= opens_m:
            raise ConfigError(
                f"a pinch that closes at {closes_m:g} m and opens at {opens_m:g} m is impossible; "
                "it opens at no less than it closes, and both are above 0"
            )
        self._closes_m, self._opens_m, self._settle_ns = closes_m, opens_m, round(settle_s * 1e9)
        # An open hand comes first: one that comes into view pinched has not decided anything.
        self._pinched = self._decided = True
        self._begun_ns = 0

    def finger(self, gaps_m: Mapping[str, float], now_ns: int) -> str | None:
        """Take the gaps between the fingers' tips and the thumb's, m; return a finger once it is decided."""
        nearest = min(gaps_m, key=lambda finger: gaps_m[finger])
        if gaps_m[nearest] >= (self._opens_m if self._pinched else self._closes_m):
            self._pinched = self._decided = False
            return None
        if not self._pinched:
            self._pinched, self._begun_ns = True, now_ns
        if self._decided or now_ns - self._begun_ns < self._settle_ns:
            return None
        self._decided = True
        return nearest

    def forget(self) -> None:
        """Wait for an open hand again."""
        self._pinched = self._decided = True
