"""What a policy is, and what it is fitted to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dynamo_policies.actions import ACTION_SIZE, ActionSpace, chunks
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError, UnknownNameError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """What every policy has: how many observations it reads, how many actions it returns, and in which frame.

    `relative`: actions are relative to the tool pose measured at the tick. `held_out` is the share of each
    task's last episodes that the error is measured on; the policy itself is then fitted to all of them.
    """

    window: int = 1
    horizon: int = 10
    relative: bool = True
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if min(self.window, self.horizon) < 1:
            raise ConfigError(f"window {self.window} and horizon {self.horizon} must be at least 1")
        if not 0.0 <= self.held_out < 1.0:
            raise ConfigError(f"held_out {self.held_out:g} is not in 0 <= held_out < 1")


@dataclass(frozen=True, kw_only=True)
class PolicyRecord:
    """All of a policy but its tensors: which kind, its config, and the sizes it was fitted to."""

    policy: str
    config: dict[str, Any]
    tasks: tuple[str, ...]
    feature_size: int
    state_size: int
    action_size: int = ACTION_SIZE


class Policy(Protocol):
    """Maps the last observations to a chunk of actions; safe to call from one thread."""

    window: int
    horizon: int
    space: ActionSpace
    record: PolicyRecord

    def reset(self) -> None:
        """Forget what was seen; called before each episode."""

    def act(self, features: Floats, state: Floats, task: str) -> Floats:
        """Return actions (K, A) in `space` for `features` (W, F) and `state` (W, S), the newest last."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be kept besides `record`."""


class Demonstration(NamedTuple):
    """One episode as a policy learns from it."""

    features: Floats  # (T, F)
    state: Floats  # (T, S)
    valid: npt.NDArray[np.bool_]  # (T,)
    chunks: Floats  # (T, K, A)
    mask: npt.NDArray[np.bool_]  # (T, K): false past the end of the episode
    task: str


@dataclass(frozen=True)
class Samples:
    """Demonstrations as tensors: sample i reads the rows `windows[i]` of `features` and `state`."""

    features: Tensor  # (M, F) float32, all ticks of all episodes
    state: Tensor  # (M, S) float32
    windows: Tensor  # (N, W) int64 rows of an episode, the newest last
    tasks: Tensor  # (N,) int64
    chunks: Tensor  # (N, K, A) float32
    mask: Tensor  # (N, K) bool

    def __len__(self) -> int:
        return len(self.windows)

    def to(self, device: torch.device) -> Samples:
        """Return the same samples on `device`."""
        return Samples(
            **{field.name: getattr(self, field.name).to(device) for field in dataclasses.fields(self)}
        )


def demonstrate(episode: Episode, features: Floats, space: ActionSpace, horizon: int) -> Demonstration:
    """Return `episode`, embedded as `features` (T, F), as what a policy learns from."""
    actions, mask = chunks(episode, horizon, space)
    return Demonstration(features, episode.state, episode.valid, actions, mask, episode.task)


class Progress(NamedTuple):
    """How far a fit is."""

    step: int
    steps: int
    loss: float


OnProgress = Callable[[Progress], None]


def stack(demonstrations: Sequence[Demonstration], tasks: tuple[str, ...], window: int) -> Samples:
    """Return `demonstrations` as one set of samples.

    A window reaching before an episode's start repeats its first tick, as happens on the robot. Ticks whose
    window holds a stale observation, and chunks without any action, are left out.
    """
    windows, kinds, actions, masks, offset = [], [], [], [], 0
    for demonstration in demonstrations:
        ticks = len(demonstration.features)
        rows = np.maximum(np.arange(ticks)[:, None] + np.arange(1 - window, 1), 0)  # (T, W)
        kept = demonstration.valid[rows].all(axis=1) & demonstration.mask.any(axis=1)
        windows.append(offset + rows[kept])
        kinds.append(np.full(kept.sum(), task_index(demonstration.task, tasks)))
        actions.append(demonstration.chunks[kept])
        masks.append(demonstration.mask[kept])
        offset += ticks
    if not sum(len(part) for part in windows):
        raise ConfigError(f"{len(demonstrations)} episodes hold no tick that a policy can learn from")
    return Samples(
        features=_floats([demonstration.features for demonstration in demonstrations]),
        state=_floats([demonstration.state for demonstration in demonstrations]).nan_to_num(),
        windows=torch.from_numpy(np.concatenate(windows)),
        tasks=torch.from_numpy(np.concatenate(kinds)),
        chunks=_floats(actions),
        mask=torch.from_numpy(np.concatenate(masks)),
    )


def task_index(task: str, tasks: tuple[str, ...]) -> int:
    """Return the place of `task` in `tasks`, or raise UnknownNameError."""
    if task not in tasks:
        raise UnknownNameError("task", task, tasks)
    return tasks.index(task)


def _floats(parts: Sequence[npt.NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))
