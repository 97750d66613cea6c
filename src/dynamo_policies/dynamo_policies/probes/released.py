"""The diagnostics of the authors' released code, as it computes them.

What it calls validation is not held out: least squares are fitted to all frames, and only reported by the
95/5 split of the episodes. Targets here are the state and the commanded target, in the units of the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dynamo_policies.episodes import Episode
from dynamo_policies.observation import FloatArray
from dynamo_policies.probes.embeddings import Floats
from dynamo_policies.probes.figures import TOOL, TOTAL
from dynamo_policies.probes.frames import Frames, Values
from dynamo_policies.probes.linear import least_squares
from dynamo_policies.probes.neighbours import nearest, released_queries
from dynamo_policies.probes.scores import Value
from dynamo_policies.splits import training_episodes

TRAIN_SHARE, SPLIT_SEED = 0.95, 42
QUERIES, FIRST_QUERY = 200, 10
POSITION = "position"  # in mm; totals are in m and rad, as datasets have them


def released_figures(
    features: Floats, frames: Frames, episodes: Sequence[Episode], *, seed: int = 0
) -> dict[str, Value]:
    """Return the released figures of `features` (N, F), the rows of `frames`."""
    seen = {id(episode) for episode in training_episodes(episodes, TRAIN_SHARE, SPLIT_SEED)}
    train = np.isin(frames.episode, [i for i, episode in enumerate(episodes) if id(episode) in seen])
    wide = features.astype(np.float64)
    both = np.concatenate([frames.state.rows, frames.target.rows], axis=1)
    missed = np.square(least_squares(wide, both).predict(wide) - both)
    queries = _queries(frames, seed)
    found = nearest(features, frames.episode, queries, np.arange(len(features)))
    missed_nearest = np.square(both[found] - both[queries])
    parts = {"mse_train": missed[train], "mse_val": missed[~train]}
    figures: dict[str, Value] = {}
    width = frames.state.rows.shape[1]
    for kind, values, columns in (
        ("state", frames.state, slice(0, width)),
        ("action", frames.target, slice(width, None)),
    ):
        for part, errors in parts.items():
            figures |= _by_group(f"released_{kind}_{part}", values, errors[:, columns])
        figures |= _by_group(f"released_nn_{kind}_mse", values, missed_nearest[:, columns])
    return figures


def _queries(frames: Frames, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    rows = [np.flatnonzero(frames.episode == number) for number in range(len(frames.names))]
    drawn = released_queries([len(one) for one in rows], first=FIRST_QUERY, count=QUERIES, seed=seed)
    return np.array([rows[number][tick] for number, tick in drawn], dtype=np.int64)


def _by_group(name: str, values: Values, errors: FloatArray) -> dict[str, Value]:
    """Return the mean of squared `errors` (N, D) over each group, and in SI units over all but the tool's."""
    groups = dict(values.groups)
    if POSITION in groups:
        in_metres = errors.copy()
        in_metres[:, groups[POSITION]] *= 1e-6
    else:
        in_metres = errors
    counted = [
        i for group, columns in groups.items() if group != TOOL for i in range(columns.start, columns.stop)
    ]
    figures = {
        f"{name}/{group}": Value(float(errors[:, columns].mean())) for group, columns in groups.items()
    }
    return {**figures, f"{name}/{TOTAL}": Value(float(in_metres[:, counted].mean()))}
