"""Terms of losses over what all processes of a run hold; alone, over what this one holds.

Gradients: each process's loss is the mean over its own share, and gradients are averaged over processes, so
that a term which all of them compute alike from everything has the gradient it has in one process.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor


def processes() -> int:
    """Return how many processes share the run."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 1
    return torch.distributed.get_world_size()


def total(x: Tensor) -> Tensor:
    """Return the sum of every process's `x`, of one shape in all of them, with gradient."""
    if processes() == 1:
        return x
    summed: Tensor = _Total.apply(x)  # type: ignore[no-untyped-call]  # torch's stubs
    return summed


def covariance(x: Tensor) -> Tensor:
    """Return the covariance (E, E), divided by N - 1, of the rows `x` (N / processes, E) of all processes."""
    count = processes() * len(x)
    with unlowered(x):
        centred = x - total(x.sum(dim=0)) / count
        return total(centred.T @ centred) / (count - 1)


def unlowered(x: Tensor) -> torch.autocast:
    """Return a block in which products of what is as exact as `x` stay so, whatever autocast is around it."""
    return torch.autocast(x.device.type, enabled=False)


def gathered(x: Tensor) -> Tensor:
    """Return the rows `x` (N, E) of all processes, one after the other, without gradient."""
    if processes() == 1:
        return x.detach()
    parts = [torch.empty_like(x) for _ in range(processes())]
    torch.distributed.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def rank() -> int:
    """Return which of the processes this is, from 0."""
    return torch.distributed.get_rank() if processes() > 1 else 0


class _Total(torch.autograd.Function):
    """A sum over processes; what each of them loses by it is summed as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004  # torch's signature
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004  # as above
        return _summed(gradient)


def _summed(x: Tensor) -> Tensor:
    held = x.clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(held)
    return held
