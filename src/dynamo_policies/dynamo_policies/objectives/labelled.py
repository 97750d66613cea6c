"""Objectives that see the demonstrator's actions: the paper's two variants with ground truth (its table 7).

The paper states neither the form nor the weight of the loss on actions nor the size of the head: the mean
squared error of standardised actions with weight 1, and two hidden layers, are proposals of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.actions import ACTION_SIZE
from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.heads import linear
from dynamo_policies.nets.transformer import CausalTransformer, TransformerConfig
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.dynamo import Dynamo, DynamoConfig
from dynamo_policies.objectives.terms import COVARIANCES, cut_windows, exact


@dataclass(frozen=True, kw_only=True)
class LabelledConfig(ObjectiveConfig):
    """`relative`: actions are measured from the tool's pose, else in the base frame.

    `action_size` is that of the robot's actions: 7 with a gripper, 22 with an Allegro hand.
    """

    relative: bool = True
    action_size: int = ACTION_SIZE
    action_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class InverseDynamicsConfig(LabelledConfig):
    """Settings of `InverseDynamics`, as those of DynaMo's inverse model."""

    window: int = 5
    layers: int = 6
    heads: int = 6
    width: int = 120
    covariance: Literal["paper", "released"] = "released"
    covariance_weight: float = 0.04

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ConfigError(f"window {self.window} holds no transition; at least 2 is possible")

    @property
    def ticks(self) -> int:
        """A segment holds at least one window."""
        return self.window


@dataclass(frozen=True, kw_only=True)
class DynamoActionsConfig(DynamoConfig, LabelledConfig):
    """Settings of `DynamoActions`: all of DynaMo's, and `head_width`, the size of each hidden layer."""

    head_width: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inverse_in_ema or self.dynamics == "no_inverse":
            raise ConfigError("actions are predicted from trained latents: no inverse_in_ema, no no_inverse")


class InverseDynamics(Objective):
    """Trains an encoder by an inverse model that predicts actions, and the covariance penalty."""

    needs_actions: ClassVar[bool] = True

    def __init__(self, config: InverseDynamicsConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.config = config
        sizes = TransformerConfig(
            inputs=encoder.config.feature_size, outputs=config.action_size, length=config.window,
            layers=config.layers, heads=config.heads, width=config.width,
        )  # fmt: skip
        self.inverse = CausalTransformer(sizes, generator)

    def forward(self, segments: Tensor, actions: Tensor) -> Losses:  # type: ignore[override]  # it needs actions
        """Return the losses of `segments` (B, T, V, H, W, 3) with the `actions` (B, T, A) of their ticks."""
        embeddings = self.encoder(segments)
        predicted: Tensor = self.inverse(cut_windows(embeddings, self.config.window))
        error = action_error(predicted[:, 1:], actions, views=embeddings.shape[2])
        flat = embeddings.flatten(0, 2)
        covariance = COVARIANCES[self.config.covariance](flat)
        total = self.config.action_weight * error + self.config.covariance_weight * covariance
        parts = {"loss": total.detach(), "actions": error.detach(), "covariance": covariance.detach()}
        return Losses(total, parts, flat.detach().float())

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder and inverse model."""
        return {"encoder": self.encoder, "inverse": self.inverse}


class DynamoActions(Dynamo):
    """DynaMo, and a perceptron that predicts each tick's action from what was inferred to have happened."""

    needs_actions: ClassVar[bool] = True

    def __init__(self, config: DynamoActionsConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        self.action_weight = config.action_weight
        self.head = nn.Sequential(
            linear(config.latent_size, config.head_width, generator),
            nn.ReLU(),
            linear(config.head_width, config.head_width, generator),
            nn.ReLU(),
            linear(config.head_width, config.action_size, generator),
        )

    def forward(self, segments: Tensor, actions: Tensor) -> Losses:  # type: ignore[override]  # it needs actions
        """Return the losses of `segments` (B, T, V, H, W, 3) with the `actions` (B, T, A) of their ticks."""
        losses, latents = self.infer(segments)
        predicted: Tensor = self.head(latents[:, :, 1:].flatten(0, 1))
        error = action_error(predicted, actions, views=segments.shape[2])
        total = losses.total + self.action_weight * error
        parts = losses.parts | {"loss": total.detach(), "actions": error.detach()}
        return losses._replace(total=total, parts=parts, trivial=None)

    def networks(self) -> dict[str, nn.Module]:
        """Return DynaMo's networks and the head."""
        return super().networks() | {"head": self.head}


def action_error(predicted: Tensor, actions: Tensor, *, views: int) -> Tensor:
    """Return the mean squared error of `predicted` (M * views, W-1, A), for all ticks but a window's last.

    `actions` (B, T, A) are cut into the same M windows. What position t+1 of a window has seen is the outcome
    of the action of tick t.
    """
    seen = actions[:, :, None].expand(-1, -1, views, -1)
    wanted = cut_windows(seen, predicted.shape[1] + 1)[:, :-1]
    return functional.mse_loss(exact(predicted), exact(wanted))
