"""Errors summed by episode, and figures of them with an interval by resampling episodes.

Frames of one episode are alike, so that episodes, not frames, are what was drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from dynamo_policies.observation import FloatArray
from dynamo_policies.probes.frames import IntArray

TINY = 1e-12


class Value(NamedTuple):
    """A figure with its 95 % interval over episodes, and its values (B,) over the draws that gave it.

    None where it has none.
    """

    value: float
    low: float | None = None
    high: float | None = None
    draws: FloatArray | None = None


class Resampler:
    """Draws `episodes` again and again with replacement; the same draws for all encoders."""

    def __init__(self, episodes: Sequence[int], *, draws: int = 1000, seed: int = 0) -> None:
        self.episodes = tuple(episodes)
        count = len(self.episodes)
        random = np.random.default_rng(seed)
        drawn = random.multinomial(count, np.full(count, 1.0 / count), size=draws)
        self._weights = np.concatenate([np.ones((1, count)), drawn])  # the first row: as they are

    def sums(self, values: FloatArray, episode: IntArray) -> FloatArray:
        """Return the sum of `values` (N, D) over the frames of each episode, (E, D)."""
        return np.stack([values[episode == number].sum(axis=0) for number in self.episodes])

    def value(self, sums: FloatArray, statistic: Callable[[FloatArray], FloatArray]) -> Value:
        """Return `statistic`, which maps totals (B, D) to (B,), of the total of `sums` (E, D).

        Draws in which the statistic is not finite, as of nothing, are left out; so is the interval of a
        single episode.
        """
        found = statistic(self._weights @ sums)
        if len(self.episodes) < 2:
            return Value(float(found[0]))
        return interval(float(found[0]), found[1:])


def interval(value: float, draws: FloatArray) -> Value:
    """Return `value` with the interval that holds 95 % of the finite ones of `draws`."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return Value(value)
    low, high = np.quantile(finite, (0.025, 0.975))
    return Value(value, float(low), float(high), draws)


def difference(one: Value, other: Value) -> Value:
    """Return `one` less `other`, two encoders' on the same episodes: its interval is that of the differences.

    Episodes differ more than encoders do, so that it is narrower than the intervals of the two suggest.
    """
    value = one.value - other.value
    if one.draws is None or other.draws is None:
        return Value(value)
    return interval(value, one.draws - other.draws)


def mean_of(values: FloatArray, episode: IntArray, resampler: Resampler) -> Value:
    """Return the mean of `values` (N,), NaN where there are none."""
    table = np.stack([values, np.ones_like(values)], axis=1)
    return resampler.value(resampler.sums(table, episode), lambda total: _ratio(total[:, 0], total[:, 1]))


def rmse_of(errors: FloatArray, episode: IntArray, resampler: Resampler) -> Value:
    """Return the root of the mean square of `errors` (N, D) over frames and entries."""
    table = np.stack([np.square(errors).mean(axis=1), np.ones(len(errors))], axis=1)
    return resampler.value(
        resampler.sums(table, episode), lambda total: np.sqrt(_ratio(total[:, 0], total[:, 1]))
    )


def r2_of(errors: FloatArray, truth: FloatArray, episode: IntArray, resampler: Resampler) -> Value:
    """Return the share of the variance of `truth` (N, D) that is explained, the mean of those of the columns.

    Columns that do not vary are left out.
    """
    # About the middle, so that the difference of two large sums loses nothing.
    centred = truth - truth.mean(axis=0)
    size = truth.shape[1]
    table = np.concatenate([np.square(errors), centred, np.square(centred), np.ones((len(truth), 1))], axis=1)

    def statistic(total: FloatArray) -> FloatArray:
        left, first, second = (total[:, i * size : (i + 1) * size] for i in range(3))
        spread = second - _ratio(np.square(first), total[:, -1:])
        varies = spread > TINY * np.maximum(total[:, -1:], 1.0)
        shares = np.where(varies, 1.0 - _ratio(left, np.where(varies, spread, 1.0)), 0.0)
        return _ratio(shares.sum(axis=1), varies.sum(axis=1).astype(np.float64))

    return resampler.value(resampler.sums(table, episode), statistic)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return the quotient, NaN where `below` is 0."""
    known = below != 0.0
    return np.where(known, above / np.where(known, below, 1.0), np.nan)
