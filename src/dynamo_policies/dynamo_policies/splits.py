"""Which episodes a run learns from, and which it never sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError


def training_episodes(episodes: Sequence[Episode], share: float, seed: int) -> list[Episode]:
    """Return the first `share` of the episodes in an order drawn from `seed`; all, as they are, at 1.

    As the authors' code does it with a share of 0.95 and seed 42; which episodes that gives depends on the
    order of `episodes`.
    """
    if share == 1.0:
        return list(episodes)
    count = int(share * len(episodes))
    if count < 1:
        raise ConfigError(f"train_share {share:g} of {len(episodes)} episodes leaves none to learn from")
    return [episodes[place] for place in _order(len(episodes), seed)[:count]]


def held_out_episodes(episodes: Sequence[Episode], share: float, seed: int) -> list[Episode]:
    """Return the episodes that `training_episodes` leaves out."""
    if share == 1.0:
        return []
    return [episodes[place] for place in _order(len(episodes), seed)[int(share * len(episodes)) :]]


def _order(count: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return order
