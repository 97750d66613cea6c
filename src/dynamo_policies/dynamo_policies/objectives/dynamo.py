"""DynaMo: an encoder learns by predicting its own embeddings through inferred latents (arXiv 2409.12192).

An inverse model reads a window of embeddings and infers what happened between them; a forward model predicts
each next embedding from the one before and that inference. Both are shared by all views.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.transformer import CausalTransformer, TransformerConfig
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig


@dataclass(frozen=True, kw_only=True)
class DynamoConfig(ObjectiveConfig):
    """Settings of DynaMo; the defaults are the recipe that worked on the simulated kitchen.

    `covariance`: `paper` divides the summed squared off-diagonal covariances by the feature size, `released`
    takes their mean as the authors' code does, 511 times weaker at 512 features. `inverse_in_ema`: infer
    latents with a moving average of the inverse model, as the authors' code does; it then stays at its random
    start. `ema_buffers`: let the target encoder take over the batch norms' running statistics; the authors'
    code leaves them at their start.
    """

    window: int = 5
    latent_size: int = 16
    layers: int = 6
    heads: int = 6
    width: int = 120
    forward_dropout: float = 0.0
    target: Literal["simsiam", "ema"] = "simsiam"
    ema_decay: float = 0.99
    inverse_in_ema: bool = False
    ema_buffers: bool = False
    covariance: Literal["paper", "released"] = "released"
    covariance_weight: float = 0.04

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ConfigError(f"window {self.window} holds no transition; at least 2 is possible")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ConfigError(f"ema_decay {self.ema_decay:g} is not in 0..1")
        if self.inverse_in_ema and self.target != "ema":
            raise ConfigError("inverse_in_ema needs target: ema")

    @property
    def ticks(self) -> int:
        """A segment holds at least one window."""
        return self.window


class Dynamo(Objective):
    """The objective of DynaMo over segments at least one window long.

    Each frame is embedded once; all windows of a segment are then cut out of its embeddings. With segments of
    exactly one window this is the paper's minibatch.
    """

    def __init__(self, config: DynamoConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        features = encoder.config.feature_size
        self.inverse = CausalTransformer(self._sizes(features, config.latent_size, dropout=0.0), generator)
        self.forward_model = CausalTransformer(
            self._sizes(features + config.latent_size, features, dropout=config.forward_dropout), generator
        )
        self.target_encoder = _still_copy(encoder) if config.target == "ema" else None
        self.target_inverse = _still_copy(self.inverse) if config.inverse_in_ema else None

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8, T at least `window`."""
        embeddings = self.encoder(segments)  # (B, T, V, E)
        targets = self._targets(segments, embeddings)
        states = cut_windows(embeddings, self.config.window)  # (N, W, E): windows of every view
        predicted = self._predict(states)
        dynamics = cosine_distance(predicted, cut_windows(targets, self.config.window)[:, 1:])
        flat = embeddings.flatten(0, 2)
        covariance = COVARIANCES[self.config.covariance](flat)
        total = dynamics + self.config.covariance_weight * covariance
        parts = {"loss": total.detach(), "dynamics": dynamics.detach(), "covariance": covariance.detach()}
        return Losses(total, parts, flat.detach().float())

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder, inverse and forward model."""
        return {"encoder": self.encoder, "inverse": self.inverse, "forward": self.forward_model}

    def after_step(self, progress: float) -> None:
        """Move the averages towards the networks they follow, if there are any."""
        decay = ema_decay_at(progress, start=self.config.ema_decay)
        if self.target_encoder is not None:
            _follow(self.target_encoder, self.encoder, decay=decay)
            if self.config.ema_buffers:
                _copy_buffers(self.target_encoder, self.encoder)
        if self.target_inverse is not None:
            _follow(self.target_inverse, self.inverse, decay=decay)

    def train(self, mode: bool = True) -> Dynamo:
        """Set the mode of all but the averaged copies, which stay in evaluation mode."""
        super().train(mode)
        for module in (self.target_encoder, self.target_inverse):
            if module is not None:
                module.eval()
        return self

    def _targets(self, segments: Tensor, embeddings: Tensor) -> Tensor:
        if self.target_encoder is None:
            return embeddings.detach()
        with torch.no_grad():
            targets: Tensor = self.target_encoder(segments)
        return targets

    def _predict(self, states: Tensor) -> Tensor:
        """Return the embeddings (N, W-1, E) predicted for positions 1 to W-1 of `states` (N, W, E)."""
        latents = self._infer(states)
        # What happened between t and t+1 is known at t+1 only, so the latent of a step is read one position
        # later. The state itself keeps its gradient; the target alone is cut off.
        tokens = torch.cat([states[:, :-1], latents[:, 1:].to(states.dtype)], dim=-1)
        predicted: Tensor = self.forward_model(tokens)
        return predicted

    def _infer(self, states: Tensor) -> Tensor:
        if self.target_inverse is None:
            latents: Tensor = self.inverse(states)
            return latents
        with torch.no_grad():
            averaged: Tensor = self.target_inverse(states)
        return averaged

    def _sizes(self, inputs: int, outputs: int, *, dropout: float) -> TransformerConfig:
        config = self.config
        return TransformerConfig(
            inputs=inputs, outputs=outputs, length=config.window,
            layers=config.layers, heads=config.heads, width=config.width, dropout=dropout,
        )  # fmt: skip


def cut_windows(embeddings: Tensor, window: int) -> Tensor:
    """Return all windows of `embeddings` (B, T, V, E) per view, (B * V * (T - window + 1), window, E)."""
    if embeddings.shape[1] < window:
        raise ConfigError(f"segments of {embeddings.shape[1]} ticks are shorter than the window of {window}")
    unfolded = embeddings.unfold(1, window, 1)  # (B, T - window + 1, V, E, window)
    return unfolded.movedim(-1, -2).flatten(0, 2)


def cosine_distance(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return one less the mean cosine between the vectors of `predicted` and `targets`, both (..., E)."""
    return 1.0 - functional.cosine_similarity(_exact(predicted), _exact(targets), dim=-1).mean()


def covariance_paper(embeddings: Tensor) -> Tensor:
    """Return the summed squared off-diagonal covariance of `embeddings` (N, E) over E, as in the paper."""
    return _off_diagonal_squares(embeddings).sum() / embeddings.shape[1]


def covariance_released(embeddings: Tensor) -> Tensor:
    """Return the mean squared off-diagonal covariance of `embeddings` (N, E), as in the released code."""
    features = embeddings.shape[1]
    return _off_diagonal_squares(embeddings).sum() / (features * (features - 1))


COVARIANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "paper": covariance_paper,
    "released": covariance_released,
}


def ema_decay_at(progress: float, *, start: float) -> float:
    """Return the decay, rising from `start` to 1 on half a cosine as `progress` goes 0 to 1 (MoCo v3's)."""
    return 1.0 - 0.5 * (1.0 + math.cos(math.pi * progress)) * (1.0 - start)


def _off_diagonal_squares(embeddings: Tensor) -> Tensor:
    covariance = torch.cov(_exact(embeddings).T)  # (E, E), divided by N - 1
    return (covariance - covariance.diag().diag()).square()


def _exact(x: Tensor) -> Tensor:
    # bfloat16 sums of a few thousand values lose the small terms; float64 stays as it is.
    return x if x.dtype == torch.float64 else x.float()


def _still_copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def _follow(average: nn.Module, online: nn.Module, *, decay: float) -> None:
    for held, current in zip(average.parameters(), online.parameters(), strict=True):
        held.lerp_(current, 1.0 - decay)


@torch.no_grad()
def _copy_buffers(average: nn.Module, online: nn.Module) -> None:
    for held, current in zip(average.buffers(), online.buffers(), strict=True):
        held.copy_(current)
