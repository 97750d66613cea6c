"""Fit a policy to demonstrations and say how well it predicts those it has not seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from dynamo_policies.actions import POSE_SIZE, ActionSpace
from dynamo_policies.errors import ConfigError
from dynamo_policies.policies.base import (
    Demonstration,
    Floats,
    OnProgress,
    Policy,
    PolicyConfig,
    PolicyRecord,
    Progress,
    stack,
)
from dynamo_policies.policies.table import POLICIES


class FittedPolicy(NamedTuple):
    """A policy and what is known of it; errors are held-out mean absolute ones over whole chunks."""

    policy: Policy
    metrics: dict[str, float]


def ignore_progress(progress: Progress) -> None:
    """Do nothing with `progress`."""


def fit_policy(
    name: str,
    config: PolicyConfig,
    demonstrations: Sequence[Demonstration],
    tasks: tuple[str, ...],
    space: ActionSpace,
    *,
    seed: int = 0,
    device: str = "cpu",
    held_out: Sequence[int] | None = None,
    on_progress: OnProgress = ignore_progress,
) -> FittedPolicy:
    """Return the policy called `name` fitted to all `demonstrations`.

    Its error is measured on the demonstrations numbered `held_out` (by default the last of each task, as many
    as `config.held_out` says) with a first fit that leaves them out.
    """
    if not demonstrations:
        raise ConfigError("no episode to fit a policy to")
    kept_out = last_of_each_task(demonstrations, config.held_out) if held_out is None else list(held_out)
    record = PolicyRecord(
        policy=name,
        config=dataclasses.asdict(config),
        tasks=tasks,
        feature_size=demonstrations[0].features.shape[1],
        state_size=demonstrations[0].state.shape[1],
        action_size=space.size,
    )

    def fit(chosen: Sequence[Demonstration]) -> Policy:
        samples = stack(chosen, tasks, config.window)
        return POLICIES[name].fit(
            config, samples, record, space, seed=seed, device=torch.device(device), on_progress=on_progress
        )

    metrics: dict[str, float] = {"episodes": len(demonstrations), "held_out_episodes": len(kept_out)}
    if kept_out:
        seen = [demonstration for i, demonstration in enumerate(demonstrations) if i not in kept_out]
        metrics |= chunk_errors(fit(seen), [demonstrations[i] for i in kept_out])
    return FittedPolicy(fit(demonstrations), metrics)


def last_of_each_task(demonstrations: Sequence[Demonstration], share: float) -> list[int]:
    """Return the numbers of the last `share` of the demonstrations of each task, never all of a task's."""
    chosen: list[int] = []
    for task in dict.fromkeys(demonstration.task for demonstration in demonstrations):
        numbers = [i for i, demonstration in enumerate(demonstrations) if demonstration.task == task]
        count = min(round(share * len(numbers)), len(numbers) - 1)
        chosen += numbers[len(numbers) - count :]
    return chosen


def chunk_errors(policy: Policy, demonstrations: Sequence[Demonstration]) -> dict[str, float]:
    """Return the mean absolute error of chunks: position (mm), rotation and hand (rad), gripper (0..1).

    Gripper and hand are there where the robot has them.
    """
    errors = np.concatenate([_absolute_errors(policy, demonstration) for demonstration in demonstrations])
    means = errors.mean(axis=0)
    space = policy.space
    of_hand = means[POSE_SIZE + space.grippers :]
    return {
        "held_out_position_mm": float(1000.0 * means[:3].mean()),
        "held_out_rotation_rad": float(means[3:POSE_SIZE].mean()),
        **({"held_out_gripper": float(means[POSE_SIZE])} if space.grippers else {}),
        **({"held_out_hand_rad": float(of_hand.mean())} if space.hand_joints else {}),
    }


def _absolute_errors(policy: Policy, demonstration: Demonstration) -> Floats:
    """Return |prediction - action| (N, A) over all actions of all chunks of one episode."""
    samples = stack([demonstration], policy.record.tasks, policy.window)
    predicted = np.stack(
        [
            policy.act(samples.features[rows].numpy(), samples.state[rows].numpy(), demonstration.task)
            for rows in samples.windows
        ]
    )
    errors: Floats = np.abs(predicted - samples.chunks.numpy())[samples.mask.numpy()]
    return errors
