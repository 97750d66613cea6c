"""RPT on observation tokens: fill in the masked embeddings of a sequence (arXiv 2306.10007).

DynaMo's paper says no more than that RPT was restricted to observation tokens, on a ResNet-18; none of its
hyperparameters, and no code of either paper's authors, is public. Tokens, masks, sizes and loss here are
those of RPT's own paper. What DynaMo's adaptation needs on top is not stated anywhere and chosen here:
RPT's encoder is a frozen MAE, this one is trained in-domain, so the targets are the encoder's own
embeddings without gradient (`target: simsiam`, as DynaMo's) or those of its moving average (`ema`), and the
gradient reaches the encoder through the tokens that are not masked. Each camera is a modality of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.vit import EPSILON, INITIAL_STD, Block, draw
from dynamo_policies.objectives.averages import ema_decay_at, follow, still_copy
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.frames import step_generator
from dynamo_policies.objectives.terms import exact


@dataclass(frozen=True, kw_only=True)
class RptConfig(ObjectiveConfig):
    """Settings of RPT; the defaults are its paper's, except for `target`, which is not stated.

    `longest` is how many ticks a segment may have (RPT studies 1, 4, 8 and 16, the longest being the best),
    `views` how many cameras there are. The share of masked tokens is drawn for each sequence between
    `mask_min` and `mask_max`. `ratio` is that of the perceptrons' hidden units to `width`.
    """

    views: int = 2
    longest: int = 16
    mask_min: float = 0.7
    mask_max: float = 0.9
    layers: int = 4
    heads: int = 4
    width: int = 192
    ratio: int = 2
    target: Literal["simsiam", "ema"] = "simsiam"
    ema_decay: float = 0.99

    def __post_init__(self) -> None:
        if min(self.views, self.longest, self.layers, self.heads, self.width, self.ratio) < 1:
            raise ConfigError(f"every size of RPT must be at least 1: {self}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not 0.0 < self.mask_min <= self.mask_max < 1.0:
            raise ConfigError(f"masks from {self.mask_min:g} to {self.mask_max:g} are not in 0 < share < 1")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ConfigError(f"ema_decay {self.ema_decay:g} is not in 0..1")


class Rpt(Objective):
    """RPT over segments of at most `longest` ticks: one token for each tick and camera.

    A moving average of the encoder normalises by its own batches, as BYOL's and MoCo v3's do.
    """

    advice = "target: ema, a lower learning_rate or a smaller mask_max keep RPT from it"

    def __init__(self, config: RptConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        self.transformer = SequenceFiller(config, encoder.config.feature_size, generator)
        self.target_encoder = still_copy(encoder).train() if config.target == "ema" else None

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8, T at most `longest`."""
        batch, ticks, views = segments.shape[:3]
        if ticks > self.config.longest or views != self.config.views:
            raise ConfigError(
                f"segments of {ticks} ticks of {views} cameras are given; possible are at most "
                f"{self.config.longest} ticks (longest) of {self.config.views} cameras (views)"
            )
        embeddings = self.encoder(segments)  # (B, T, V, E)
        masked = self.draw_masks(batch, ticks, step_generator()).to(segments.device)
        filled = self.transformer(embeddings, masked)
        total = masked_error(filled, self._targets(segments, embeddings), masked)
        parts = {"loss": total.detach(), "masked": masked.float().mean()}
        return Losses(total, parts, embeddings.detach().float().flatten(0, 2))

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder and transformer."""
        return {"encoder": self.encoder, "transformer": self.transformer}

    def decay(self, progress: float) -> float | None:
        """Return the decay of the average, if there is one."""
        if self.target_encoder is None:
            return None
        return ema_decay_at(progress, start=self.config.ema_decay)

    def after_step(self, progress: float) -> None:
        """Move the average towards the encoder, if there is one."""
        if self.target_encoder is not None and (decay := self.decay(progress)) is not None:
            follow(self.target_encoder, self.encoder, decay=decay)

    def draw_masks(self, batch: int, ticks: int, generator: torch.Generator) -> Tensor:
        """Return which tokens are masked, (B, T, V) bool, each independently by its sequence's share."""
        config = self.config
        shares = config.mask_min + (config.mask_max - config.mask_min) * torch.rand(
            batch, generator=generator
        )
        return torch.rand(batch, ticks, config.views, generator=generator) < shares[:, None, None]

    def _targets(self, segments: Tensor, embeddings: Tensor) -> Tensor:
        if self.target_encoder is None:
            return embeddings.detach()
        with torch.no_grad():
            targets: Tensor = self.target_encoder(segments)
        return targets


class SequenceFiller(nn.Module):
    """Embeddings (B, T, V, E) of which some are masked to embeddings for all, (B, T, V, E).

    Each camera has a linear layer in, a mask token and a linear layer out; positions are those of ticks.
    Every token attends to every other.
    """

    def __init__(self, config: RptConfig, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.read = nn.ModuleList(nn.Linear(features, config.width) for _ in range(config.views))
        self.write = nn.ModuleList(nn.Linear(config.width, features) for _ in range(config.views))
        self.mask_tokens = nn.Parameter(torch.zeros(config.views, config.width))
        self.positions = nn.Parameter(torch.zeros(config.longest, config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.ratio) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        draw(self, generator)
        for tokens in (self.mask_tokens, self.positions):
            nn.init.normal_(tokens, std=INITIAL_STD, generator=generator)

    def forward(self, embeddings: Tensor, masked: Tensor) -> Tensor:
        """Return what is filled in for `embeddings` (B, T, V, E) where `masked` (B, T, V) hides them."""
        batch, ticks, views, _ = embeddings.shape
        tokens = torch.stack([read(embeddings[:, :, v]) for v, read in enumerate(self.read)], dim=2)
        tokens = torch.where(masked[..., None], self.mask_tokens.to(tokens.dtype), tokens)
        x = (tokens + self.positions[:ticks, None]).flatten(1, 2)  # (B, T * V, width)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x).view(batch, ticks, views, -1)
        return torch.stack([write(x[:, :, v]) for v, write in enumerate(self.write)], dim=2)


def masked_error(filled: Tensor, targets: Tensor, masked: Tensor) -> Tensor:
    """Return the mean squared error of `filled` to `targets`, both (B, T, V, E), where `masked` (B, T, V)."""
    errors = (exact(filled) - exact(targets)).square().mean(dim=-1)
    # No token may be masked in a small batch; then there is nothing to learn, rather than 0 / 0.
    return (errors * masked).sum() / masked.sum().clamp_min(1)
