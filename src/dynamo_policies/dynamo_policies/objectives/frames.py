"""Segments as a bag of images, and chance that belongs to a step."""

from __future__ import annotations

import torch
from torch import Tensor


def as_images(segments: Tensor) -> Tensor:
    """Return all images of `segments` (..., H, W, 3) uint8 as (N, 3, H, W) float32 in 0..1, N in order."""
    return segments.flatten(0, -4).permute(0, 3, 1, 2).float() / 255.0


def as_frames(images: Tensor) -> Tensor:
    """Return `images` (N, 3, H, W) as encoders take them, (N, H, W, 3)."""
    return images.permute(0, 2, 3, 1)


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's stubs; generators can't be traced
def step_generator() -> torch.Generator:
    """Return a generator on the CPU, seeded by the global one, which the loop seeds anew for each step."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, ())))
