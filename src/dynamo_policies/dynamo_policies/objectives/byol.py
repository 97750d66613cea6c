"""BYOL and BYOL-T: an encoder learns to predict a moving average's view of the same scene (arXiv 2006.07733).

DynaMo's paper names the repository lucidrains/byol-pytorch and, in table 12, LARS with a learning rate of
0.2, weight decay 1.5e-6, batches of 512 images and 200 epochs. Architecture, loss, averaging and
augmentations here are that repository's defaults of mid-2024.

Not stated anywhere: whether 0.2 is scaled by batch / 256, the warmup, the decay of the average in DynaMo's
runs, whether augmentations were changed for images of robots, and how cameras were pooled. Here every frame
of every camera is an image of one bag, as the encoder is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.augment import Blur, ColourJitter, Flip, Greyscale, ResizedCrop, Step, augment
from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.heads import byol_head
from dynamo_policies.objectives.averages import ema_decay_at, follow, still_copy
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.frames import as_frames, as_images, step_generator
from dynamo_policies.objectives.terms import exact


@dataclass(frozen=True, kw_only=True)
class ByolConfig(ObjectiveConfig):
    """Settings of BYOL; the defaults are byol-pytorch's.

    `ema_schedule: cosine` lets the decay rise to 1, as the original paper has it from 0.996 on.
    """

    hidden: int = 4096
    projection: int = 256
    ema_decay: float = 0.99
    ema_schedule: Literal["constant", "cosine"] = "constant"
    crop_scale_min: float = 0.08

    def __post_init__(self) -> None:
        if min(self.hidden, self.projection) < 1:
            raise ConfigError(f"hidden {self.hidden} and projection {self.projection} must be at least 1")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ConfigError(f"ema_decay {self.ema_decay:g} is not in 0..1")
        if not 0.0 < self.crop_scale_min <= 1.0:
            raise ConfigError(f"crop_scale_min {self.crop_scale_min:g} is not in 0 < share <= 1")

    @property
    def augmentations(self) -> tuple[Step, ...]:
        """What makes a view of an image."""
        return (
            ColourJitter(0.8, 0.8, 0.8, 0.2, probability=0.3),
            Greyscale(0.2),
            Flip(),
            Blur((1.0, 2.0), radius=1, probability=0.2),
            ResizedCrop((self.crop_scale_min, 1.0)),
        )


@dataclass(frozen=True, kw_only=True)
class ByolTConfig(ByolConfig):
    """Settings of BYOL-T: those of BYOL over segments of at least two ticks."""

    @property
    def ticks(self) -> int:
        """A segment holds at least one pair of neighbours."""
        return 2


class Views(NamedTuple):
    """The two sides of N pairs, each (N, 3, H, W)."""

    first: Tensor
    second: Tensor


class Byol(Objective):
    """BYOL over all frames of all cameras, two augmented views of each.

    Both views pass the online network at once, and its average at once, so that batch norms see both. The
    average takes over parameters alone and, in training mode, normalises by its own batches.
    """

    advice = "a higher ema_decay, a lower learning_rate or larger batches keep BYOL from it"

    def __init__(self, config: ByolConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        features = encoder.config.feature_size
        self.projector = byol_head(features, config.hidden, config.projection, generator)
        self.predictor = byol_head(config.projection, config.hidden, config.projection, generator)
        self.target = still_copy(nn.Sequential(encoder, self.projector)).train()

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8."""
        generator = step_generator()
        views = [augment(side, self.config.augmentations, generator) for side in self._pairs(segments)]
        both = as_frames(torch.cat(views))
        embeddings = self.encoder(both)
        predicted = self.predictor(self.projector(embeddings))
        with torch.no_grad():
            targets = self.target(both)
        total = byol_loss(predicted, targets)
        flat = embeddings.detach().float().chunk(2)[0]
        return Losses(total, {"loss": total.detach()}, flat, trivial=0.0)

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder, projector and predictor."""
        return {"encoder": self.encoder, "projector": self.projector, "predictor": self.predictor}

    def decay(self, progress: float) -> float:
        """Return the decay of the average."""
        start = self.config.ema_decay
        return ema_decay_at(progress, start=start) if self.config.ema_schedule == "cosine" else start

    def after_step(self, progress: float) -> None:
        """Move the average towards the online network."""
        follow(self.target, nn.Sequential(self.encoder, self.projector), decay=self.decay(progress))

    def _pairs(self, segments: Tensor) -> Views:
        images = as_images(segments)
        return Views(images, images)


class ByolT(Byol):
    """BYOL in which the second view is of the next tick, seen by the same camera (DynaMo's BYOL-T).

    Both are augmented. The paper cites Young et al. 2022 for it; whether pairs of the same frame were mixed
    in is not stated, and here they are not.
    """

    def _pairs(self, segments: Tensor) -> Views:
        if segments.shape[1] < 2:
            raise ConfigError(f"byol_t pairs neighbours; segments of {segments.shape[1]} tick have none")
        return Views(as_images(segments[:, :-1]), as_images(segments[:, 1:]))


def byol_loss(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return 4 less twice the cosines of each view's prediction to the other's target, mean over pairs.

    Both (2 * N, P): the first views of N pairs, then their second ones.
    """
    swapped = torch.cat(targets.chunk(2)[::-1])
    cosines = functional.cosine_similarity(exact(predicted), exact(swapped), dim=-1)
    return 2.0 * (2.0 - 2.0 * cosines).mean()
