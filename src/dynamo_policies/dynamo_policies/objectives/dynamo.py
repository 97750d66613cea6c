"""DynaMo: an encoder learns by predicting its own embeddings through inferred latents (arXiv 2409.12192).

An inverse model reads a window of embeddings and infers what happened between them; a forward model predicts
each next embedding from the one before and that inference. Both are shared by all views.

Where paper and released code differ, both are offered; `presets` says which choices make which. The published
figures presumably come from the released code, which nobody outside could check.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.transformer import CausalTransformer, TransformerConfig
from dynamo_policies.objectives.averages import copy_buffers, ema_decay_at, follow, still_copy
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.terms import COVARIANCES, cosine_distance, cut_windows


@dataclass(frozen=True, kw_only=True)
class DynamoConfig(ObjectiveConfig):
    """Settings of DynaMo; the defaults are the recipe that worked on the simulated kitchen.

    `target`: `simsiam` stops the gradient of the embedding to be predicted, `ema` embeds it with a moving
    average of the encoder, `live` does neither and collapses (the paper's ablation). `inverse_in_ema`: infer
    latents with a moving average of the inverse model, as the authors' code does; it then stays at its random
    start. The paper describes joint training. `ema_buffers`: let the target encoder take over the running
    statistics of the batch norms; the authors' code leaves them at their start, the paper does not say.

    `covariance`: `paper` divides the summed squared off-diagonal covariances by the feature size, `released`
    takes their mean as the authors' code does, 511 times weaker at 512 features. The weight of 0.04 is stated
    by both.

    `pairing`: `cross` predicts each view with the latents of every other one, which the authors' code offers
    and never uses. `dynamics`: the paper's ablations; `no_forward` predicts each embedding from the latent
    alone, `no_inverse` the next embedding from the one before alone.
    """

    window: int = 5
    latent_size: int = 16
    layers: int = 6
    heads: int = 6
    width: int = 120
    forward_dropout: float = 0.0
    target: Literal["simsiam", "ema", "live"] = "simsiam"
    ema_decay: float = 0.99
    inverse_in_ema: bool = False
    ema_buffers: bool = False
    covariance: Literal["paper", "released"] = "released"
    covariance_weight: float = 0.04
    pairing: Literal["own", "cross"] = "own"
    dynamics: Literal["full", "no_forward", "no_inverse"] = "full"

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ConfigError(f"window {self.window} holds no transition; at least 2 is possible")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ConfigError(f"ema_decay {self.ema_decay:g} is not in 0..1")
        if self.inverse_in_ema and self.target != "ema":
            raise ConfigError("inverse_in_ema needs target: ema")
        if self.dynamics == "no_inverse" and (self.inverse_in_ema or self.pairing == "cross"):
            raise ConfigError(
                "dynamics: no_inverse has no latents, so neither inverse_in_ema nor pairing: cross"
            )

    @property
    def ticks(self) -> int:
        """A segment holds at least one window."""
        return self.window


class Inferred(NamedTuple):
    """What one pass over segments gives, for M windows of W ticks and V views."""

    losses: Losses
    latents: Tensor  # (M, V, W, latent_size); position t has seen ticks 0 to t; empty without inverse model


class Dynamo(Objective):
    """The objective of DynaMo over segments at least one window long.

    Each frame is embedded once; all windows of a segment are then cut out of its embeddings. With segments of
    exactly one window this is the paper's minibatch.
    """

    advice = "target: simsiam or ema (never live), a larger covariance_weight or a lower learning_rate help"

    def __init__(self, config: DynamoConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        features = encoder.config.feature_size
        self.inverse: CausalTransformer | None = None
        if config.dynamics != "no_inverse":
            self.inverse = CausalTransformer(_sizes(config, features, config.latent_size), generator)
        self.forward_model = CausalTransformer(
            _sizes(config, _token_size(config, features), features, dropout=config.forward_dropout), generator
        )
        self.target_encoder = still_copy(encoder) if config.target == "ema" else None
        self.target_inverse: nn.Module | None = None
        if self.inverse and config.inverse_in_ema:
            self.target_inverse = still_copy(self.inverse)
            self.inverse.requires_grad_(
                requires_grad=False
            )  # no loss reaches it: processes need not exchange it

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8, T at least `window`."""
        return self.infer(segments).losses

    def infer(self, segments: Tensor) -> Inferred:
        """Return the losses of `segments` and what was inferred between their ticks."""
        embeddings = self.encoder(segments)  # (B, T, V, E)
        states = self._windows(embeddings)
        latents = self._latents(states)
        predicted, goals = self._predict(states, latents, self._windows(self._targets(segments, embeddings)))
        dynamics = cosine_distance(predicted, goals)
        flat = embeddings.flatten(0, 2)
        covariance = COVARIANCES[self.config.covariance](flat)
        total = dynamics + self.config.covariance_weight * covariance
        parts = {"loss": total.detach(), "dynamics": dynamics.detach(), "covariance": covariance.detach()}
        parts |= latent_figures(latents.detach())
        return Inferred(Losses(total, parts, flat.detach().float(), trivial=0.0), latents)

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder, inverse model if there is one, and forward model."""
        found = {"encoder": self.encoder, "inverse": self.inverse, "forward": self.forward_model}
        return {name: network for name, network in found.items() if network is not None}

    def decay(self, progress: float) -> float | None:
        """Return the decay of the averages, if there are any."""
        if self.target_encoder is None:
            return None
        return ema_decay_at(progress, start=self.config.ema_decay)

    def after_step(self, progress: float) -> None:
        """Move the averages towards the networks they follow, if there are any."""
        if self.target_encoder is None or (decay := self.decay(progress)) is None:
            return
        follow(self.target_encoder, self.encoder, decay=decay)
        if self.config.ema_buffers:
            copy_buffers(self.target_encoder, self.encoder)
        if self.target_inverse is not None and self.inverse is not None:
            follow(self.target_inverse, self.inverse, decay=decay)

    def train(self, mode: bool = True) -> Dynamo:
        """Set the mode of all but the averaged copies, which stay in evaluation mode."""
        super().train(mode)
        for module in (self.target_encoder, self.target_inverse):
            if module is not None:
                module.eval()
        return self

    def _windows(self, embeddings: Tensor) -> Tensor:
        """Return the windows of `embeddings` (B, T, V, E), (M, V, W, E)."""
        windows = cut_windows(embeddings, self.config.window)
        return windows.reshape(-1, embeddings.shape[2], *windows.shape[1:])

    def _targets(self, segments: Tensor, embeddings: Tensor) -> Tensor:
        if self.config.target == "live":
            return embeddings
        if self.target_encoder is None:
            return embeddings.detach()
        with torch.no_grad():
            targets: Tensor = self.target_encoder(segments)
        return targets

    def _latents(self, states: Tensor) -> Tensor:
        """Return the latents (M, V, W, Z) inferred from `states` (M, V, W, E)."""
        if self.inverse is None:
            return states[..., :0]
        flat = states.flatten(0, 1)
        if self.target_inverse is None:
            latents: Tensor = self.inverse(flat)
        else:
            with torch.no_grad():
                latents = self.target_inverse(flat)
        return latents.reshape(*states.shape[:3], -1)

    def _predict(self, states: Tensor, latents: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predicted embeddings and their goals, both (N, W - 1, E)."""
        if self.config.pairing == "cross":
            own, other = view_pairs(states.shape[1])
            states, goals, latents = states[:, own], goals[:, own], latents[:, other]
        # What happened between t and t+1 is known at t+1 only, so the latent of a step is read one position
        # later. The state itself keeps its gradient; the target alone is cut off.
        happened = latents[..., 1:, :].to(states.dtype)
        if self.config.dynamics == "no_forward":
            tokens, goals = happened, goals[..., :-1, :]
        else:
            tokens, goals = torch.cat([states[..., :-1, :], happened], dim=-1), goals[..., 1:, :]
        predicted: Tensor = self.forward_model(tokens.flatten(0, 1))
        return predicted, goals.flatten(0, 1)


def latent_figures(latents: Tensor) -> dict[str, Tensor]:
    """Return deviation and mean length of `latents` (M, V, W, Z), none where there are none.

    Those of the first ticks are left out: before them nothing happened that could be inferred.
    """
    if not latents.shape[-1]:
        return {}
    happened = latents[..., 1:, :].float().flatten(0, 2)
    return {
        "latent_std": happened.std(dim=0, correction=0).mean(),
        "latent_norm": happened.norm(dim=1).mean(),
    }


def view_pairs(views: int) -> tuple[list[int], list[int]]:
    """Return all ordered pairs of two different views: those predicted, and those that the latents are of."""
    if views < 2:
        raise ConfigError(f"pairing: cross needs at least 2 views, the segments have {views}")
    pairs = list(itertools.permutations(range(views), 2))
    return [own for own, _ in pairs], [other for _, other in pairs]


def _token_size(config: DynamoConfig, features: int) -> int:
    """Return how many numbers the forward model reads at each position."""
    state = 0 if config.dynamics == "no_forward" else features
    return state + (0 if config.dynamics == "no_inverse" else config.latent_size)


def _sizes(config: DynamoConfig, inputs: int, outputs: int, *, dropout: float = 0.0) -> TransformerConfig:
    return TransformerConfig(
        inputs=inputs, outputs=outputs, length=config.window,
        layers=config.layers, heads=config.heads, width=config.width, dropout=dropout,
    )  # fmt: skip
