"""What a pretraining objective offers to the loop that runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dynamo_policies.encoders import Encoder


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Settings of an objective."""

    @property
    def ticks(self) -> int:
        """How long a segment has to be at least."""
        return 1


class Losses(NamedTuple):
    """One forward pass of an objective."""

    total: Tensor  # scalar, to be minimised
    parts: dict[str, Tensor]  # scalars without gradient, by the name they are logged under
    embeddings: Tensor  # (N, E) of this batch's images, without gradient
    trivial: float | None = None  # what `total` is if the encoder gives one vector for all images, if known


class Objective(nn.Module, ABC):
    """A loss over segments of episodes that trains `encoder`.

    Called with segments (B, T, V, H, W, 3) uint8: T consecutive ticks seen by V cameras. One that
    `needs_actions` is called with the actions (B, T, A) of the ticks too, standardised.
    """

    needs_actions: ClassVar[bool] = False
    advice: ClassVar[str] = "try a lower learning_rate"  # against a collapse
    encoder: Encoder

    def __init__(self, config: Any, encoder: Encoder, generator: torch.Generator) -> None:  # noqa: ARG002  # for those that derive
        """Train `encoder` by `config`; `generator` draws the first weights of all other networks."""
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments`."""

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Return the networks to optimise by name; gradients are clipped within each."""

    def decay(self, progress: float) -> float | None:  # noqa: ARG002  # for those that derive
        """Return the decay of the moving averages, if there are any; `progress` as in `after_step`."""
        return None

    def before_step(self, progress: float) -> None:
        """Do what comes before a forward pass; `progress` as in `after_step`."""

    def after_step(self, progress: float) -> None:
        """Do what follows an optimiser step; `progress` runs from 0 at the first step towards 1."""
