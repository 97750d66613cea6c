"""How learning rates and averages move during a run: each step, or once an epoch as the authors' code."""

from __future__ import annotations

import math

import torch

from dynamo_policies.recipes import PretrainConfig


def set_learning_rates(optimiser: torch.optim.Optimizer, config: PretrainConfig, step: int) -> None:
    """Set each group's learning rate for `step`."""
    scheduled = config.learning_rate * share_at(config, step)
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate if group["name"] in config.constant_lr else scheduled


def share_at(config: PretrainConfig, step: int) -> float:
    """Return the share of the full learning rate at `step`."""
    if config.schedule == "constant":
        return 1.0
    if config.schedule_every == "epoch":
        return epoch_share(config.epoch_of(step), config.epochs, warmup=config.warmup)
    return learning_rate_share(step, config.steps, warmup=config.warmup)


def learning_rate_share(step: int, steps: int, *, warmup: float) -> float:
    """Return the share of the full learning rate at `step` of 0 to `steps` - 1; it is never 0."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1.0 + math.cos(math.pi * (step - rising) / (steps - rising)))


def epoch_share(epoch: int, epochs: int, *, warmup: float) -> float:
    """Return the share of the full learning rate in `epoch` of 0 to `epochs` - 1; 0 in the first of a warmup.

    As the authors' code does: `epoch` / rising while it rises, then half a cosine over the rest.
    """
    rising = warmup * epochs
    if epoch < rising:
        return epoch / rising
    return 0.5 * (1.0 + math.cos(math.pi * (epoch - rising) / (epochs - rising)))


def average_progress(config: PretrainConfig, step: int) -> float:
    """Return how far the moving averages' decay has come after `step`, 0 to 1."""
    if config.ema_every == "epoch":
        return config.epoch_of(step) / config.epochs
    return step / config.steps
