"""Standardisation: each dimension to mean 0 and deviation 1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# A dimension that hardly moves is noise: it is not blown up past this share of the typical deviation.
SMALLEST_SHARE = 0.01


class Scaling(nn.Module):
    """Per-dimension mean and deviation of rows (N, D), as buffers."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def measure(self, rows: Tensor) -> None:
        """Take mean and deviation from `rows` (N, D)."""
        std = rows.std(dim=0, correction=0)
        self.mean.copy_(rows.mean(dim=0))
        self.std.copy_(std.clamp_min(max(SMALLEST_SHARE * std.mean().item(), 1e-6)))

    def apply_to(self, values: Tensor) -> Tensor:
        """Return `values` (..., D) standardised."""
        return (values - self.mean) / self.std

    def undo(self, values: Tensor) -> Tensor:
        """Return standardised `values` (..., D) in their own units."""
        return values * self.std + self.mean
