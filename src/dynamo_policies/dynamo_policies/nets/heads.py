"""Small networks on top of an encoder, as BYOL and MoCo v3 have them."""

from __future__ import annotations

import math

import torch
from torch import nn


def byol_head(inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Return BYOL's projector or predictor, (N, inputs) to (N, outputs)."""
    return nn.Sequential(
        linear(inputs, hidden, generator),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        linear(hidden, outputs, generator),
    )


def moco_projector(inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Return MoCo v3's projector, (N, inputs) to (N, outputs), which ends in a batch norm without weights."""
    return nn.Sequential(
        *moco_predictor(inputs, hidden, outputs, generator), nn.BatchNorm1d(outputs, affine=False)
    )


def moco_predictor(inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    """Return MoCo v3's predictor, (N, inputs) to (N, outputs), without biases."""
    return nn.Sequential(
        linear(inputs, hidden, generator, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        linear(hidden, outputs, generator, bias=False),
    )


def linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer drawn as torch draws its own, uniform in -+1 / sqrt(inputs)."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    bound = 1.0 / math.sqrt(inputs)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if bias:
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer
