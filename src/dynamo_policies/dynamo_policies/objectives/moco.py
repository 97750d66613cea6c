"""MoCo v3 in its form for ResNets: tell an image's other view from all others' (arXiv 2104.02057).

DynaMo's paper names the repository facebookresearch/moco-v3 and, in table 12, LARS with a learning rate of
0.6, weight decay 1e-6, batches of 1024 images and 200 epochs. Heads, loss, augmentations and schedule here
are that repository's; `crop_scale_min` and the rise of the momentum are those of its commands for ResNets.

Not stated anywhere: whether 0.6 is scaled by batch / 256 (the repository would, to 2.4), the warmup in
DynaMo's runs (10 epochs in the repository), changes of augmentations, and how cameras were pooled. Here
every frame of every camera is an image of one bag, so neighbours in time count as negatives: prefer
segments of one tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.across import gathered, processes, rank, unlowered
from dynamo_policies.augment import (
    Blur,
    ColourJitter,
    Flip,
    Greyscale,
    ResizedCrop,
    Solarise,
    Step,
    augment,
)
from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.heads import moco_predictor, moco_projector
from dynamo_policies.objectives.averages import ema_decay_at, follow, still_copy
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.frames import as_frames, as_images, step_generator
from dynamo_policies.objectives.terms import exact


@dataclass(frozen=True, kw_only=True)
class MocoConfig(ObjectiveConfig):
    """Settings of MoCo v3; the defaults are the repository's for a ResNet-50.

    `crop_scale_min` is the least share of the area that a crop shows: 0.2 in the repository's commands, 0.08
    in its defaults.
    """

    hidden: int = 4096
    projection: int = 256
    ema_decay: float = 0.99
    ema_schedule: Literal["constant", "cosine"] = "cosine"
    temperature: float = 1.0
    crop_scale_min: float = 0.2

    def __post_init__(self) -> None:
        if min(self.hidden, self.projection) < 1:
            raise ConfigError(f"hidden {self.hidden} and projection {self.projection} must be at least 1")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ConfigError(f"ema_decay {self.ema_decay:g} is not in 0..1")
        if self.temperature <= 0.0:
            raise ConfigError(f"temperature {self.temperature:g} must be positive")
        if not 0.0 < self.crop_scale_min <= 1.0:
            raise ConfigError(f"crop_scale_min {self.crop_scale_min:g} is not in 0 < share <= 1")

    @property
    def augmentations(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """What makes the first and the second view of an image."""
        begin: tuple[Step, ...] = (
            ResizedCrop((self.crop_scale_min, 1.0)),
            ColourJitter(0.4, 0.4, 0.2, 0.1, probability=0.8),
            Greyscale(0.2),
        )
        first: tuple[Step, ...] = (*begin, Blur((0.1, 2.0), radius=6, probability=1.0), Flip())
        second: tuple[Step, ...] = (
            *begin,
            Blur((0.1, 2.0), radius=6, probability=0.1),
            Solarise(0.2),
            Flip(),
        )
        return first, second


class MocoV3(Objective):
    """MoCo v3 over all frames of all cameras, two augmented views of each, without a queue.

    The average of encoder and projector is moved before each step's keys are made, its parameters alone, and
    normalises by its own batches. Each view passes by itself.
    """

    advice = "a lower learning_rate or larger batches, which hold more negatives, keep MoCo from it"

    def __init__(self, config: MocoConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        features = encoder.config.feature_size
        self.projector = moco_projector(features, config.hidden, config.projection, generator)
        self.predictor = moco_predictor(config.projection, config.hidden, config.projection, generator)
        self.target = still_copy(nn.Sequential(encoder, self.projector)).train()

    def decay(self, progress: float) -> float:
        """Return the decay of the average."""
        start = self.config.ema_decay
        return ema_decay_at(progress, start=start) if self.config.ema_schedule == "cosine" else start

    def before_step(self, progress: float) -> None:
        """Move the average towards the online network."""
        follow(self.target, nn.Sequential(self.encoder, self.projector), decay=self.decay(progress))

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8."""
        generator, images = step_generator(), as_images(segments)
        views = [as_frames(augment(images, steps, generator)) for steps in self.config.augmentations]
        embeddings = [self.encoder(view) for view in views]
        first, second = (self.predictor(self.projector(embedded)) for embedded in embeddings)
        with torch.no_grad():
            first_keys, second_keys = (self.target(view) for view in views)
        temperature = self.config.temperature
        total = contrast(first, second_keys, temperature) + contrast(second, first_keys, temperature)
        blind = 4.0 * temperature * math.log(len(images) * processes())
        flat = embeddings[0].detach().float()
        return Losses(total, {"loss": total.detach()}, flat, trivial=blind)

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder, projector and predictor."""
        return {"encoder": self.encoder, "projector": self.projector, "predictor": self.predictor}


def contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return 2 * `temperature` times the cross-entropy of finding each query's own among all `keys`.

    Both (N, P), compared by their cosine over `temperature`; the keys of all processes are searched.
    """
    everyones = gathered(functional.normalize(exact(keys), dim=1))
    with unlowered(everyones):
        cosines = functional.normalize(exact(queries), dim=1) @ everyones.T
    own = torch.arange(len(queries), device=queries.device) + rank() * len(queries)
    return 2.0 * temperature * functional.cross_entropy(cosines / temperature, own)
