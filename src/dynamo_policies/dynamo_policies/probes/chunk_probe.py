"""The held-out error of a small policy, fitted to the frozen features as a real one would be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from dynamo_policies.actions import ActionSpace, action_space
from dynamo_policies.episodes import Episode
from dynamo_policies.observation import FloatArray
from dynamo_policies.policies.base import Demonstration, PolicyRecord, demonstrate, stack
from dynamo_policies.policies.mlp import MlpConfig, MlpPolicy, fit_mlp
from dynamo_policies.probes.embeddings import Floats
from dynamo_policies.probes.frames import IntArray, Split, gripper_changes
from dynamo_policies.probes.scores import Resampler, Value, mean_of

REACH_S = 2.0


class Errors(NamedTuple):
    """Errors of a policy's chunks on N ticks of held-out episodes, each the mean of several seeds."""

    episode: IntArray  # (N,)
    chunk: FloatArray  # (N,) mean absolute error, deviations of the actions
    ahead: FloatArray  # (N,) distance of the last position of the chunk, mm; NaN past an episode's end
    reaching: FloatArray  # (N,) 1 in the last REACH_S before the gripper closes or opens, else 0


def chunk_figures(
    features: Sequence[Floats],
    episodes: Sequence[Episode],
    split: Split,
    resampler: Resampler,
    *,
    steps: int,
    seeds: Sequence[int],
    device: str = "cpu",
    progress: Callable[[float], None] = lambda _done: None,
) -> dict[str, Value]:
    """Return the figures of policies of one second's chunks, one fitted with each of `seeds`.

    `progress(done)` is told how many of the seeds are done.
    """
    contract = episodes[0].contract
    space = action_space(contract, relative=True)
    config = MlpConfig(horizon=max(1, round(contract.policy_rate_hz)), steps=steps)
    shown = [
        demonstrate(episode, one, space, config.horizon)
        for episode, one in zip(episodes, features, strict=True)
    ]
    tasks = tuple(dict.fromkeys(episode.task for episode in episodes))
    learnt = [shown[i] for i in split.learnt_from]
    policies = []
    for done, seed in enumerate(seeds):
        policies.append(_fit(config, learnt, tasks, space, seed=seed, device=device))
        progress(done + 0.8)
    parts = [_errors(policies, shown[i], episodes[i], i) for i in split.held_out]
    errors = Errors(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    progress(len(seeds))
    return _figures(errors, resampler)


def _figures(errors: Errors, resampler: Resampler) -> dict[str, Value]:
    known = np.isfinite(errors.ahead)
    reaching = known & (errors.reaching > 0.0)
    return {
        "chunk_error": mean_of(errors.chunk, errors.episode, resampler),
        "chunk_error_1s_mm": mean_of(errors.ahead[known], errors.episode[known], resampler),
        "reach_error_mm": mean_of(errors.ahead[reaching], errors.episode[reaching], resampler),
    }


def _fit(
    config: MlpConfig,
    learnt: Sequence[Demonstration],
    tasks: tuple[str, ...],
    space: ActionSpace,
    *,
    seed: int,
    device: str,
) -> MlpPolicy:
    record = PolicyRecord(
        policy="mlp",
        config=dataclasses.asdict(config),
        tasks=tasks,
        feature_size=learnt[0].features.shape[1],
        state_size=learnt[0].state.shape[1],
        action_size=space.size,
    )
    samples = stack(learnt, tasks, config.window)
    return fit_mlp(
        config, samples, record, space, seed=seed, device=torch.device(device), on_progress=lambda _: None
    )


def _errors(policies: Sequence[MlpPolicy], shown: Demonstration, episode: Episode, number: int) -> Errors:
    """Return the errors on the ticks of one episode that a policy can be asked at."""
    ticks = np.flatnonzero(shown.valid & shown.mask.any(axis=1))
    deviation = policies[0].tensors()["actions.std"].numpy()
    chunk, ahead = np.zeros(len(ticks)), np.zeros(len(ticks))
    for policy in policies:
        given = np.stack([policy.act(shown.features[[t]], shown.state[[t]], shown.task) for t in ticks])
        missed = given - shown.chunks[ticks]
        real = shown.mask[ticks]
        chunk += (np.abs(missed / deviation).mean(axis=2) * real).sum(axis=1) / real.sum(axis=1)
        ahead += np.where(real[:, -1], 1000.0 * np.linalg.norm(missed[:, -1, :3], axis=1), np.nan)
    reach = round(REACH_S * episode.contract.policy_rate_hz)
    changes = gripper_changes(episode)
    return Errors(
        episode=np.full(len(ticks), number),
        chunk=chunk / len(policies),
        ahead=ahead / len(policies),
        reaching=np.array([any(t < tick <= t + reach for tick in changes) for t in ticks], dtype=np.float64),
    )
