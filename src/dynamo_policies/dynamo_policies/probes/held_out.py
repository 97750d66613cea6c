"""The figures on held-out episodes: what a probe that never saw an episode says about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from dynamo_policies.health import effective_rank, embedding_std
from dynamo_policies.observation import FloatArray
from dynamo_policies.probes.embeddings import Floats
from dynamo_policies.probes.frames import Frames, IntArray, Split, Values
from dynamo_policies.probes.linear import Ridge, best_penalties
from dynamo_policies.probes.neighbours import nearest
from dynamo_policies.probes.scores import Resampler, Value, r2_of, rmse_of

RANK_FRAMES = 2000  # enough for the singular values, which take long


def held_out_figures(
    features: Floats, frames: Frames, split: Split, resampler: Resampler
) -> dict[str, Value]:
    """Return the figures of `features` (N, F), the rows of `frames`, that need no policy."""
    some = torch.from_numpy(features[_evenly(len(features), RANK_FRAMES)])
    return {
        "effective_rank": Value(effective_rank(some)),
        "embedding_std": Value(embedding_std(torch.from_numpy(features))),
        **_linear(features, frames, split, resampler),
        **_nearest(features, frames, split, resampler),
        **_before_grasp(features, frames, split, resampler),
    }


def _linear(features: Floats, frames: Frames, split: Split, resampler: Resampler) -> dict[str, Value]:
    kinds = {"state": frames.state, "action": frames.action, "target": frames.target}
    targets, groups = _joined(kinds)
    predicted = _ridge(
        features.astype(np.float64),
        targets,
        list(groups.values()),
        *_rows(frames, split, np.arange(len(features))),
    )
    held_out = frames.of(split.held_out)
    figures = {}
    for name, columns in groups.items():
        kind, _, group = name.partition("/")
        truth = targets[held_out, columns]
        missed, episode = predicted[:, columns] - truth, frames.episode[held_out]
        figures[f"{kind}_rmse/{group}"] = rmse_of(missed, episode, resampler)
        figures[f"{kind}_r2/{group}"] = r2_of(missed, truth, episode, resampler)
    return figures


def _nearest(features: Floats, frames: Frames, split: Split, resampler: Resampler) -> dict[str, Value]:
    queries = frames.of(split.held_out)
    found = nearest(features, frames.episode, queries, frames.of(split.learnt_from))
    figures = {}
    for kind, values in (("state", frames.state), ("action", frames.action)):
        missed = values.rows[found] - values.rows[queries]
        for group, columns in values.groups.items():
            figures[f"nn_{kind}_rmse/{group}"] = rmse_of(
                missed[:, columns], frames.episode[queries], resampler
            )
    return figures


def _before_grasp(features: Floats, frames: Frames, split: Split, resampler: Resampler) -> dict[str, Value]:
    """Return the errors of probes that say, before the gripper closes, where it will and where the object is.

    Features and positions are measured from their mean over the task's training frames: tasks differ by
    more than starts do, and which task it is, a policy is told.
    """
    before = np.flatnonzero(frames.before_grasp)
    parts = _rows(frames, split, before)
    wanted = {"grasp_error_mm": frames.grasp}
    if frames.object is not None:
        wanted["object_error_mm"] = frames.object
    if not all(len(part) for part in parts):
        return {}
    task = np.array(frames.tasks)[frames.episode]
    seen = np.concatenate(parts[:2])
    figures = {}
    for name, positions in wanted.items():
        centred, places = features.astype(np.float64), positions.copy()
        for one in np.unique(task):
            rows, known = task == one, seen[task[seen] == one]
            centred[rows] -= centred[known].mean(axis=0) if len(known) else 0.0
            places[rows] -= places[known].mean(axis=0) if len(known) else 0.0
        missed = _ridge(centred, places, [slice(0, 2)], *parts) - places[parts[2]]
        figures[name] = rmse_of(missed, frames.episode[parts[2]], resampler)
    return figures


def _ridge(
    features: FloatArray,
    targets: FloatArray,
    groups: Sequence[slice],
    training: IntArray,
    validation: IntArray,
    held_out: IntArray,
) -> FloatArray:
    """Return predictions for the held-out rows; fitted to all others, the penalty chosen on validation."""
    errors = Ridge(features[training], targets[training]).errors(features[validation], targets[validation])
    seen = np.concatenate([training, validation])
    fitted = Ridge(features[seen], targets[seen]).fitted(best_penalties(errors, list(groups)))
    return fitted.predict(features[held_out])


def _rows(frames: Frames, split: Split, among: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return which rows of `among` are for training, validation and measuring."""
    training, validation, held_out = (np.intersect1d(frames.of(part), among) for part in split)
    return training, validation, held_out


def _joined(kinds: dict[str, Values]) -> tuple[FloatArray, dict[str, slice]]:
    """Return all targets side by side, and the columns of `kind/group`."""
    groups, start = {}, 0
    for kind, values in kinds.items():
        for group, columns in values.groups.items():
            groups[f"{kind}/{group}"] = slice(start + columns.start, start + columns.stop)
        start += values.rows.shape[1]
    return np.concatenate([values.rows for values in kinds.values()], axis=1), groups


def _evenly(count: int, most: int) -> IntArray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
