"""Nearest frames in the space of the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.probes.frames import IntArray

AT_ONCE = 512


class Neighbours(NamedTuple):
    """The nearest frame of each of several episodes, the nearest first."""

    query: int  # row of the frame that was asked about
    rows: tuple[int, ...]
    distances: tuple[float, ...]


def nearest(
    features: npt.NDArray[np.float32], episode: IntArray, queries: IntArray, pool: IntArray
) -> IntArray:
    """Return for each row of `queries` the nearest row of `pool` that is of another episode."""
    found = []
    for start in range(0, len(queries), AT_ONCE):
        some = queries[start : start + AT_ONCE]
        distances = squared_distances(features[some], features[pool])
        distances[episode[some][:, None] == episode[pool]] = np.inf
        found.append(pool[distances.argmin(axis=1)])
    return np.concatenate(found)


def nearest_of_episodes(
    features: npt.NDArray[np.float32], episode: IntArray, query: int, count: int
) -> Neighbours:
    """Return the nearest frame of each other episode, of the `count` nearest such episodes."""
    distances = squared_distances(features[[query]], features)[0]
    best: list[tuple[float, int]] = []
    for number in np.unique(episode):
        if number != episode[query]:
            rows = np.flatnonzero(episode == number)
            row = rows[distances[rows].argmin()]
            best.append((float(np.sqrt(max(0.0, distances[row]))), int(row)))
    best = sorted(best)[:count]
    return Neighbours(query, tuple(row for _, row in best), tuple(distance for distance, _ in best))


def squared_distances(
    some: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the squared distances (Q, P) between rows (Q, F) and (P, F)."""
    middle = others.mean(axis=0)  # far from the origin, float32 would lose small differences
    some, others = some - middle, others - middle
    lengths = np.square(some).sum(axis=1)[:, None] + np.square(others).sum(axis=1)
    distances: npt.NDArray[np.float32] = lengths - 2.0 * some @ others.T
    return distances


def released_queries(lengths: Sequence[int], *, first: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Return `count` random (episode, tick) with tick >= `first`, as the released code draws them.

    Episodes of at most `first` ticks, which that code fails on, are not drawn.
    """
    random = np.random.default_rng(seed)
    long_enough = [number for number, length in enumerate(lengths) if length > first]
    if not long_enough:
        return []
    queries = []
    for _ in range(count):
        number = long_enough[int(random.integers(len(long_enough)))]
        queries.append((number, int(random.integers(first, lengths[number]))))
    return queries
