"""Success rates with their uncertainty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_policies.statistics import StatisticsError, wilson


# Computed by hand from the formula with z = 1.959964.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(35, 40, 0.7389, 0.9454), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634)],
)
def test_known_intervals(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_nothing_tried_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.999)
)
def test_the_interval_holds_the_rate_and_mirrors(counts: tuple[int, int], confidence: float) -> None:
    successes, trials = counts
    low, high = wilson(successes, trials, confidence)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    mirrored = wilson(trials - successes, trials, confidence)
    assert (1.0 - mirrored.high, 1.0 - mirrored.low) == pytest.approx((low, high))


@given(st.integers(0, 20), st.floats(0.1, 0.9))
def test_more_confidence_is_a_wider_interval(successes: int, confidence: float) -> None:
    narrow, wide = wilson(successes, 20, confidence), wilson(successes, 20, confidence + 0.05)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@pytest.mark.parametrize(("successes", "trials"), [(5, 4), (-1, 4), (0, -1)])
def test_impossible_counts_are_errors(successes: int, trials: int) -> None:
    with pytest.raises(StatisticsError, match=f"{successes} successes of {trials} trials are impossible"):
        wilson(successes, trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_an_impossible_confidence_is_an_error(confidence: float) -> None:
    with pytest.raises(StatisticsError, match="possible is 0 < confidence < 1"):
        wilson(1, 2, confidence)
