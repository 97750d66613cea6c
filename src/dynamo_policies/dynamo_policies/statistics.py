"""Success rates with their uncertainty."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from dynamo_policies.errors import DynamoError


class StatisticsError(DynamoError):
    """Numbers that can't be counts of trials or a confidence."""


class Interval(NamedTuple):
    """Two bounds of a rate, 0 to 1."""

    low: float
    high: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a success rate; 0 to 1 where nothing was tried.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        StatisticsError: not 0 <= successes <= trials, or not 0 < confidence < 1.
    """
    if not 0 <= successes <= trials:
        raise StatisticsError(f"{successes} successes of {trials} trials are impossible")
    if not 0.0 < confidence < 1.0:
        raise StatisticsError(f"confidence {confidence} is impossible; possible is 0 < confidence < 1")
    if trials == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    rate, weight = successes / trials, z * z / trials
    centre = (rate + weight / 2.0) / (1.0 + weight)
    half = math.sqrt(weight * rate * (1.0 - rate) + weight * weight / 4.0) / (1.0 + weight)
    # At 0 and at all, one bound is exact; rounding must not move it.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high)
