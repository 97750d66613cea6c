"""Time-contrastive networks: what is near in time is near in the embedding (arXiv 1704.06888).

DynaMo's paper says no more than that both objectives were trained in-domain on a ResNet-18, the multi-view
one (TCN-MV) where there are several cameras; none of their hyperparameters is stated. Loss, margin, sizes
and radii here are those of the TensorFlow code of TCN's authors (tensorflow/models, research/tcn), with
radii scaled from its 29 frames a second to 10 ticks. Its optimiser is Adam at 1e-3 with a weight penalty of
1e-6, over batches of 36 images with random colours; the ranges of the colours are those of its time's
standard image code, from memory.

What is deployed is the encoder below the 32 numbers that are compared, as for all objectives; not stated
either.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.augment import ColourJitter, augment
from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.heads import linear
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.frames import as_frames, as_images, step_generator
from dynamo_policies.objectives.terms import exact

JITTER = ColourJitter(brightness=0.125, contrast=0.5, saturation=0.5, hue=0.2)


@dataclass(frozen=True, kw_only=True)
class TcnConfig(ObjectiveConfig):
    """Settings that both forms have: numbers that are compared, the margin, random colours or not."""

    embedding: int = 32
    margin: float = 0.2
    colours: Literal["random", "as_recorded"] = "random"

    def __post_init__(self) -> None:
        if self.embedding < 1:
            raise ConfigError(f"embedding {self.embedding} is not at least 1")
        if self.margin <= 0.0:
            raise ConfigError(f"margin {self.margin:g} must be positive")

    @property
    def ticks(self) -> int:
        """A segment needs other moments."""
        return 2


@dataclass(frozen=True, kw_only=True)
class TcnMvConfig(TcnConfig):
    """Settings of TCN-MV.

    `negatives`: other moments of the same sequence, as the released code's batches have them, or of the whole
    `batch`. `negative_window` is how many ticks a negative of the same sequence may be away (20 s there).
    """

    negatives: Literal["sequence", "batch"] = "batch"
    negative_window: int = 200


@dataclass(frozen=True, kw_only=True)
class TcnSvConfig(TcnConfig):
    """Settings of TCN-SV: up to `positive_radius` ticks away are positives, above `negative_radius` not.

    6 and 12 frames at 29 a second are 2 and 4 ticks at 10 a second.
    """

    positive_radius: int = 2
    negative_radius: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.positive_radius <= self.negative_radius:
            raise ConfigError(
                f"positive_radius {self.positive_radius} is not in 1..negative_radius {self.negative_radius}"
            )

    @property
    def ticks(self) -> int:
        """A segment holds a negative too."""
        return self.negative_radius + 2


class Tcn(Objective):
    """What both forms share: unit vectors (B, T, V, embedding) on top of the encoder, and where they go."""

    advice = "a lower learning_rate or longer segments, which hold more distant negatives, keep TCN from it"
    config: TcnConfig

    def __init__(self, config: TcnConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        self.head = linear(encoder.config.feature_size, config.embedding, generator)

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8."""
        generator, images = step_generator(), as_images(segments)
        if self.config.colours == "random":
            images = augment(images, [JITTER], generator)
        embeddings = self.encoder(as_frames(images))
        units = functional.normalize(exact(self.head(embeddings)), dim=-1).view(*segments.shape[:3], -1)
        total = self.triplets(units, generator)
        flat = embeddings.detach().float()
        return Losses(total, {"loss": total.detach()}, flat, trivial=self.config.margin)

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder and head."""
        return {"encoder": self.encoder, "head": self.head}

    @abstractmethod
    def triplets(self, units: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss of unit vectors (B, T, V, embedding)."""


class TcnMv(Tcn):
    """TCN-MV: two cameras, drawn anew for each moment, see the same; other moments are something else."""

    config: TcnMvConfig

    def triplets(self, units: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss over both cameras' vectors of all moments, each against its own and all others."""
        batch, ticks, views = units.shape[:3]
        if views < 2:
            raise ConfigError("tcn_mv needs at least two cameras; with one, tcn_sv is possible")
        chosen = torch.rand(batch, ticks, views, generator=generator).argsort(dim=2)[..., :2].to(units.device)
        pairs = units.gather(2, chosen[..., None].expand(-1, -1, -1, units.shape[-1]))
        moments = torch.arange(batch * ticks, device=units.device).view(batch, ticks, 1).expand(-1, -1, 2)
        moment, sequence = moments.flatten(), (moments // ticks).flatten()
        same, together = _equal(moment), _equal(sequence)
        negative = ~same & (~together | (_apart(moment) <= self.config.negative_window))
        if self.config.negatives == "sequence":
            negative &= together
        positive = same & ~torch.eye(len(moment), dtype=torch.bool, device=units.device)
        return semi_hard(pairs.flatten(0, 2), positive, negative, self.config.margin)


class TcnSv(Tcn):
    """TCN-SV: neighbours in time are alike, what is further away or of another sequence is not.

    Each camera is taken by itself and the losses are averaged: how several were treated is not stated.
    Segments of one batch count as different sequences even where they are of one episode.
    """

    config: TcnSvConfig

    def triplets(self, units: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG002  # nothing is drawn
        """Return the mean loss of the cameras."""
        batch, ticks, views = units.shape[:3]
        moment = torch.arange(batch * ticks, device=units.device)
        together, apart = _equal(moment // ticks), _apart(moment)
        positive = together & (apart <= self.config.positive_radius) & (apart > 0)
        negative = ~together | (apart > self.config.negative_radius)
        of_views = [
            semi_hard(units[:, :, v].flatten(0, 1), positive, negative, self.config.margin)
            for v in range(views)
        ]
        return torch.stack(of_views).mean()


def semi_hard(vectors: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return the semi-hard triplet loss of `vectors` (N, E), the mean over all pairs that `positive` marks.

    For anchor a and positive p, the negative is the nearest one that is further from a than p is, or else the
    furthest one; a pair's loss is max(0, margin + d(a, p) - d(a, n)) in squared distances. `positive` and
    `negative` are (N, N) bool, rows being anchors; anchors without any negative are left out.
    """
    distances = (vectors[:, None] - vectors[None]).square().sum(dim=-1)
    anchors, others = (positive & negative.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
    to_positive = distances[anchors, others]  # (P,)
    to_all, allowed = distances[anchors], negative[anchors]  # (P, N)
    further = allowed & (to_all > to_positive[:, None])
    nearest = to_all.masked_fill(~further, torch.inf).amin(dim=1)
    furthest = to_all.masked_fill(~allowed, -torch.inf).amax(dim=1)
    to_negative = torch.where(further.any(dim=1), nearest, furthest)
    losses = functional.relu(margin + to_positive - to_negative)
    return losses.sum() / max(len(losses), 1)


def _equal(values: Tensor) -> Tensor:
    return values[:, None] == values[None]


def _apart(values: Tensor) -> Tensor:
    return (values[:, None] - values[None]).abs()
