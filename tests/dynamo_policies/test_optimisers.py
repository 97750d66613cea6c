from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.optimisers import OPTIMISERS, Lars, make_optimiser
from dynamo_policies.pretraining import make_objective
from dynamo_policies.recipes import PretrainConfig, load_recipe

DYNAMO = Path(__file__).parents[2] / "config" / "pretrain" / "dynamo.yaml"
TINY: dict[str, Any] = {"image_size": 32, "channels": 8, "layers": 1, "heads": 2, "width": 8}


def test_lars_makes_the_steps_of_its_formula() -> None:
    random = torch.Generator().manual_seed(0)
    start = {"matrix": torch.randn(3, 4, generator=random), "bias": torch.randn(3, generator=random)}
    held = {name: torch.nn.Parameter(value.double()) for name, value in start.items()}
    optimiser = Lars([{"params": list(held.values())}], lr=0.5, momentum=0.9, weight_decay=0.1)
    expected = {name: value.double() for name, value in start.items()}
    momentum = {name: torch.zeros_like(value) for name, value in expected.items()}
    for _ in range(3):
        gradients = {n: torch.randn(v.shape, generator=random, dtype=torch.float64) for n, v in held.items()}
        for name, parameter in held.items():
            parameter.grad = gradients[name].clone()
        optimiser.step()
        decayed = gradients["matrix"] + 0.1 * expected["matrix"]
        norms = (expected["matrix"] ** 2).sum().sqrt(), (decayed**2).sum().sqrt()
        scaled = {"matrix": 0.001 * norms[0] / norms[1] * decayed, "bias": gradients["bias"]}
        for name, value in expected.items():
            momentum[name] = 0.9 * momentum[name] + scaled[name]
            expected[name] = value - 0.5 * momentum[name]
    for name, parameter in held.items():
        torch.testing.assert_close(parameter.data, expected[name])


@pytest.mark.parametrize("zero", ["weights", "gradient"])
def test_lars_takes_a_plain_step_where_a_norm_is_zero(zero: str) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, 2) if zero == "weights" else torch.ones(2, 2))
    parameter.grad = torch.ones(2, 2) if zero == "weights" else torch.zeros(2, 2)
    start = parameter.detach().clone()
    gradient = parameter.grad.clone()
    Lars([{"params": [parameter]}], lr=0.1).step()
    torch.testing.assert_close(parameter.detach(), start - 0.1 * gradient)


def test_lars_leaves_a_parameter_without_gradient_alone() -> None:
    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimiser = Lars([{"params": [parameter]}], lr=0.1)
    optimiser.step()
    assert torch.equal(parameter, torch.ones(2, 2))
    assert not optimiser.state


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("lars", "Lars")])
def test_a_config_names_its_optimiser(name: str, kind: str) -> None:
    recipe = load_recipe(DYNAMO, optimiser=name, weight_decay=0.25, betas=[0.8, 0.95], **TINY)
    made = make_optimiser(make_objective(recipe), recipe.run)
    assert type(made).__name__ == kind
    assert {group["weight_decay"] for group in made.param_groups} == {0.25}
    if name != "lars":
        assert {tuple(group["betas"]) for group in made.param_groups} == {(0.8, 0.95)}


def test_undecayed_vectors_are_those_of_the_named_networks() -> None:
    recipe = load_recipe(DYNAMO, undecayed_vectors=["inverse"], weight_decay=0.25, **TINY)
    for group in make_optimiser(make_objective(recipe), recipe.run).param_groups:
        vectors = {parameter.ndim < 2 for parameter in group["params"]}
        if group["name"] == "inverse":
            assert vectors == {group["weight_decay"] == 0.0}
        else:
            assert vectors == {True, False}
            assert group["weight_decay"] == 0.25


def test_every_optimiser_of_the_table_can_be_named() -> None:
    assert all(PretrainConfig(optimiser=name).optimiser == name for name in OPTIMISERS)
    with pytest.raises(UnknownNameError, match="'larz' is unknown; did you mean 'lars'"):
        load_recipe(DYNAMO, optimiser="larz")


@pytest.mark.parametrize("values", [{"betas": (0.9,)}, {"betas": (0.9, 1.0)}, {"momentum": 1.0}])
def test_impossible_averages_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"two betas and momentum must be in 0\.\.1"):
        PretrainConfig(**values)


def test_a_clip_norm_may_be_left_out_but_not_zero() -> None:
    assert PretrainConfig(clip_norm=None).clip_norm is None
    with pytest.raises(ConfigError, match="clip_norm 0 must be positive"):
        PretrainConfig(clip_norm=0.0)
