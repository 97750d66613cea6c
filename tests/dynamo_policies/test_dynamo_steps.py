"""Optimiser steps of DynaMo's presets against the same steps done by hand from the oracle's gradients."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dynamo_oracle import MEAN, STD, oracle_loss
from dynamo_policies.objectives.dynamo import Dynamo
from dynamo_policies.optimisers import make_optimiser
from dynamo_policies.pretraining import make_objective
from dynamo_policies.recipes import Recipe, load_recipe
from dynamo_policies.schedules import average_progress, set_learning_rates
from dynamo_policies.steps import clip_gradients

CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"
STEPS_PER_EPOCH, EPOCHS = 2, 4
TINY: dict[str, Any] = {
    "image_size": 32, "channels": 4, "layers": 1, "heads": 2, "width": 8, "latent_size": 3, "window": 2,
    "segment_length": 2, "segments": 2, "forward_dropout": 0.0, "epochs": EPOCHS, "warmup": 0.5,
    "weight_decay": 0.01, "learning_rate": 1e-3,
}  # fmt: skip


def make(target: str, preset: str) -> tuple[Recipe, Dynamo]:
    own = {"target": target, "ema_decay": 0.9}
    recipe = load_recipe(CONFIGS / "block_pushing.yaml", preset=preset, **(TINY | own))
    recipe = recipe.over(range(STEPS_PER_EPOCH * recipe.run.segments))
    dynamo = make_objective(recipe).double().train()
    for one in (dynamo.encoder, dynamo.target_encoder):
        if one is not None:
            one.mean, one.std = (torch.tensor(values, dtype=torch.float64) for values in (MEAN, STD))
    return recipe, dynamo


def batch(step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randint(0, 256, (2, 2, 2, 32, 32, 3), generator=generator, dtype=torch.uint8)


def by_the_loop(recipe: Recipe, dynamo: Dynamo, steps: int) -> None:
    optimiser = make_optimiser(dynamo, recipe.run)
    for step in range(steps):
        set_learning_rates(optimiser, recipe.run, step)
        dynamo(batch(step)).total.backward()
        clip_gradients(dynamo, recipe.run.clip_norm)
        optimiser.step()
        optimiser.zero_grad()
        dynamo.after_step(average_progress(recipe.run, step))


def rate(preset: str, network: str, step: int) -> float:
    """The published schedules written out: 2 of 4 epochs rise, the rest falls on half a cosine."""
    epoch = step // STEPS_PER_EPOCH
    if preset == "released":
        if network == "forward":
            return 1e-3
        return 1e-3 * (epoch / 2 if epoch < 2 else 0.5 * (1 + math.cos(math.pi * (epoch - 2) / 2)))
    return 1e-3 * ((step + 1) / 4 if step < 4 else 0.5 * (1 + math.cos(math.pi * (step - 4) / 4)))


def by_hand(preset: str, dynamo: Dynamo, steps: int) -> None:
    """AdamW (0.9, 0.999) on gradients clipped to 0.1 in each network, then the moving averages."""
    moments: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    decay_of = 0.01 if preset == "released" else 0.0
    dynamo.inverse.requires_grad_(True)  # that nothing reaches it under an average is found out, not assumed
    for step in range(steps):
        networks = {"encoder": dynamo.encoder, "inverse": dynamo.inverse, "forward": dynamo.forward_model}
        dynamo.encoder(batch(step))  # the running statistics move, once a step
        loss = oracle_loss(dynamo, batch(step))
        found = {
            name: torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, retain_graph=True)
            for name, net in networks.items()
        }
        for name, net in networks.items():
            norm = math.sqrt(sum(float((g**2).sum()) for g in found[name] if g is not None))
            for (key, parameter), gradient in zip(net.named_parameters(), found[name], strict=True):
                if gradient is None:
                    continue
                clipped = gradient * min(1.0, 0.1 / (norm + 1e-6))
                first, second = moments.get(f"{name}.{key}", (torch.zeros(()), torch.zeros(())))
                first, second = 0.9 * first + 0.1 * clipped, 0.999 * second + 0.001 * clipped**2
                moments[f"{name}.{key}"] = first, second
                corrected = first / (1 - 0.9 ** (step + 1))
                scale = torch.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
                decay = decay_of if name == "encoder" or parameter.ndim >= 2 else 0.0
                with torch.no_grad():
                    parameter -= rate(preset, name, step) * (corrected / scale + decay * parameter)
        average(preset, dynamo, step)


@torch.no_grad()
def average(preset: str, dynamo: Dynamo, step: int) -> None:
    progress = (
        (step // STEPS_PER_EPOCH) / EPOCHS if preset == "released" else step / (STEPS_PER_EPOCH * EPOCHS)
    )
    beta = 1 - 0.5 * (1 + math.cos(math.pi * progress)) * (1 - 0.9)
    for held, online in ((dynamo.target_encoder, dynamo.encoder), (dynamo.target_inverse, dynamo.inverse)):
        if held is not None:
            for old, new in zip(held.parameters(), online.parameters(), strict=True):
                old.copy_(beta * old + (1 - beta) * new)
    if preset == "paper" and dynamo.target_encoder is not None:
        buffers = dict(dynamo.encoder.named_buffers())
        for name, held in dynamo.target_encoder.named_buffers():
            held.copy_(buffers[name])


@pytest.mark.parametrize("target", ["simsiam", "ema"])
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_steps_are_those_done_by_hand(preset: str, target: str) -> None:
    recipe, given = make(target, preset)
    expected = copy.deepcopy(given)
    by_the_loop(recipe, given, steps=6)
    by_hand(preset, expected, steps=6)
    moved = dict(make(target, preset)[1].state_dict())
    for name, value in expected.state_dict().items():
        if value.is_floating_point():
            change = (value - moved[name]).norm()
            assert (given.state_dict()[name] - value).norm() <= 1e-6 * change + 1e-9 * value.norm(), name
    assert not torch.equal(given.forward_model.read.weight, moved["forward_model.read.weight"])
    still = torch.equal(given.inverse.read.weight, moved["inverse.read.weight"])
    assert still is (preset == "released" and target == "ema")
