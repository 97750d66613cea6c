"""Networks that follow others as moving averages."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def still_copy(module: nn.Module) -> nn.Module:
    """Return a copy of `module` without gradients, in evaluation mode."""
    return copy.deepcopy(module).requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def follow(average: nn.Module, online: nn.Module, *, decay: float) -> None:
    """Move the parameters of `average` towards those of `online`: `decay` of the old and the rest new."""
    held: list[torch.Tensor] = list(average.parameters())
    current: list[torch.Tensor] = list(online.parameters())
    assert len(held) == len(current)
    torch._foreach_lerp_(held, current, 1.0 - decay)


@torch.no_grad()
def copy_buffers(average: nn.Module, online: nn.Module) -> None:
    """Give `average` the buffers of `online`, as the running statistics of batch norms."""
    for held, current in zip(average.buffers(), online.buffers(), strict=True):
        held.copy_(current)


def ema_decay_at(progress: float, *, start: float) -> float:
    """Return the decay, rising from `start` to 1 on half a cosine as `progress` goes 0 to 1 (MoCo v3's)."""
    return 1.0 - 0.5 * (1.0 + math.cos(math.pi * progress)) * (1.0 - start)
