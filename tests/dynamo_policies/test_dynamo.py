"""DynaMo's loss against a second, literal transcription of its formulas in float64, written with loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dynamo_oracle import MEAN, STD, oracle_dynamo_actions, oracle_inverse_dynamics, oracle_loss
from dynamo_policies.encoders import Encoder, EncoderConfig
from dynamo_policies.errors import ConfigError
from dynamo_policies.objectives.averages import ema_decay_at
from dynamo_policies.objectives.dynamo import Dynamo, DynamoConfig
from dynamo_policies.objectives.labelled import (
    DynamoActions,
    DynamoActionsConfig,
    InverseDynamics,
    InverseDynamicsConfig,
)
from dynamo_policies.objectives.terms import cut_windows
from dynamo_policies.presets import PRESETS
from dynamo_policies.recipes import load_recipe

SMALL: dict[str, Any] = {"window": 3, "latent_size": 4, "layers": 2, "heads": 2, "width": 8}
ENCODER = EncoderConfig(image_size=32, channels=8, seed=5)
CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"
DYNAMO_CONFIGS = [
    path for path in sorted(CONFIGS.rglob("*.yaml")) if "objective: dynamo\n" in path.read_text()
]


def make(**settings: Any) -> Dynamo:
    return exactly(DynamoConfig(**(SMALL | settings)), ENCODER)


def exactly(config: DynamoConfig, encoder: EncoderConfig, kind: type[Dynamo] = Dynamo) -> Dynamo:
    """Return the objective in float64, the constants of the normalisation too."""
    dynamo = kind(config, Encoder(encoder), torch.Generator().manual_seed(2)).double().train()
    for one in (dynamo.encoder, getattr(dynamo, "target_encoder", None)):
        if one is not None:
            one.mean, one.std = (torch.tensor(values, dtype=torch.float64) for values in (MEAN, STD))
    return dynamo


def segments(ticks: int = 4) -> torch.Tensor:
    shape = (2, ticks, 2, 32, 32, 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(7), dtype=torch.uint8)


def assert_as_the_oracle(dynamo: Dynamo, batch: torch.Tensor) -> None:
    assert_same_gradients(dynamo, dynamo(batch).total, oracle_loss(dynamo, batch))


def assert_same_gradients(net: torch.nn.Module, given: torch.Tensor, expected: torch.Tensor) -> None:
    assert given.item() == pytest.approx(expected.item(), rel=1e-9)
    parameters = [p for p in net.parameters() if p.requires_grad]
    ours = torch.autograd.grad(given, parameters, allow_unused=True)
    theirs = torch.autograd.grad(expected, parameters, allow_unused=True)
    assert [our is None for our in ours] == [their is None for their in theirs]
    assert any(their is not None for their in theirs)
    for our, their in zip(ours, theirs, strict=True):
        if our is not None and their is not None:
            assert (our - their).norm() <= 1e-6 * their.norm() + 1e-12


@pytest.mark.parametrize("target", ["simsiam", "ema", "live"])
@pytest.mark.parametrize("covariance", ["paper", "released"])
@pytest.mark.parametrize("pairing", ["own", "cross"])
def test_loss_and_gradients_are_those_of_the_formulas(target: str, covariance: str, pairing: str) -> None:
    assert_as_the_oracle(make(target=target, covariance=covariance, pairing=pairing), segments())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("path", DYNAMO_CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_has_the_loss_of_the_formulas(path: Path, preset: str) -> None:
    # The networks alone are made small; dropout, which no formula can foresee, is left out.
    small = {"layers": 1, "heads": 2, "width": 8, "latent_size": 3, "forward_dropout": 0.0, "epochs": 1}
    recipe = load_recipe(path, preset=preset, **small)
    dynamo = exactly(recipe.objective, EncoderConfig(image_size=32, channels=4, seed=5))
    noise = torch.Generator().manual_seed(3)
    batch = segments(ticks=recipe.objective.window)
    dynamo(batch)  # moves the running statistics of the online encoder
    with torch.no_grad():
        for parameter in dynamo.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=noise), alpha=0.02)
    dynamo.after_step(0.0)
    assert_as_the_oracle(dynamo, batch)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("name", "kind", "oracle"),
    [
        ("inverse_only_gt", InverseDynamics, oracle_inverse_dynamics),
        ("action_labels", DynamoActions, oracle_dynamo_actions),
    ],
)
def test_losses_on_actions_are_those_of_the_formulas(name: str, kind: Any, oracle: Any, preset: str) -> None:
    small = {"layers": 1, "heads": 2, "width": 8, "epochs": 1}
    recipe = load_recipe(CONFIGS / "ablations" / f"{name}.yaml", preset=preset, **small)
    objective = exactly(recipe.objective, EncoderConfig(image_size=32, channels=4, seed=5), kind)
    batch = segments(ticks=6)
    actions = torch.randn(2, 6, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert_same_gradients(objective, objective(batch, actions).total, oracle(objective, batch, actions))


def test_the_last_action_of_a_window_is_not_asked_for_and_all_others_are() -> None:
    objective = exactly(InverseDynamicsConfig(window=3, layers=1, heads=2, width=8), ENCODER, InverseDynamics)
    actions = torch.zeros(2, 4, 7, dtype=torch.float64, requires_grad=True)
    objective(segments(), actions).total.backward()
    asked = actions.grad.abs().sum(dim=(0, 2))
    assert asked[3] == 0.0
    assert (asked[:3] > 0.0).all()


def test_the_covariance_weight_0_and_no_inverse_leave_their_parts_out() -> None:
    without = make(covariance_weight=0.0)(segments())
    assert without.total.item() == without.parts["dynamics"].item()
    assert set(make(dynamics="no_inverse").networks()) == {"encoder", "forward"}
    with pytest.raises(ConfigError, match="no_inverse has no latents"):
        DynamoConfig(dynamics="no_inverse", pairing="cross")


def test_an_autoencoders_prediction_of_a_tick_does_not_see_its_state_directly() -> None:
    dynamo = make(dynamics="no_forward")
    assert dynamo.forward_model.config.inputs == 4  # the latent alone


def test_cross_pairing_of_one_view_is_refused() -> None:
    with pytest.raises(ConfigError, match="cross needs at least 2 views, the segments have 1"):
        make(pairing="cross")(segments()[:, :, :1])


def test_actions_need_latents_that_are_trained() -> None:
    with pytest.raises(ConfigError, match="no inverse_in_ema"):
        DynamoActionsConfig(target="ema", inverse_in_ema=True)


def test_the_released_covariance_is_weaker_by_the_features_less_one() -> None:
    parts = {
        name: make(covariance=name)(segments()).parts["covariance"].item() for name in ("paper", "released")
    }
    assert parts["paper"] == pytest.approx(63 * parts["released"])


def test_the_released_ema_leaves_the_inverse_model_without_gradient() -> None:
    released, paper = (make(target="ema", inverse_in_ema=choice) for choice in (True, False))
    for dynamo in (released, paper):
        dynamo(segments()).total.backward()
    assert all(p.grad is None for p in released.inverse.parameters())
    assert all(p.grad is not None and p.grad.norm() > 0 for p in paper.inverse.parameters() if p.ndim == 2)


def test_targets_move_towards_the_encoder_and_get_no_gradient() -> None:
    dynamo = make(target="ema", ema_decay=0.9)
    assert dynamo.target_encoder is not None
    held = dynamo.target_encoder.trunk.conv1.weight
    start = held.clone()
    with torch.no_grad():
        dynamo.encoder.trunk.conv1.weight += 1.0
    dynamo.after_step(0.0)
    torch.testing.assert_close(held, start + 0.1)
    dynamo.after_step(1.0)  # decay 1: nothing moves any more
    torch.testing.assert_close(held, start + 0.1)
    assert not held.requires_grad


@pytest.mark.parametrize("follow", [True, False])
def test_the_targets_batch_statistics_follow_only_if_told(follow: bool) -> None:
    dynamo = make(target="ema", ema_buffers=follow)
    assert dynamo.target_encoder is not None
    dynamo(segments())
    dynamo.after_step(0.0)
    held, online = dynamo.target_encoder.trunk.bn1.running_mean, dynamo.encoder.trunk.bn1.running_mean
    assert torch.equal(held, online) is follow
    assert online.abs().sum() > 0


def test_the_target_stays_in_evaluation_mode() -> None:
    dynamo = make(target="ema", inverse_in_ema=True)
    dynamo.eval().train()
    assert dynamo.encoder.training
    assert dynamo.target_encoder is not None
    assert dynamo.target_inverse is not None
    assert not dynamo.target_encoder.training
    assert not dynamo.target_inverse.training


def test_decay_rises_as_published() -> None:
    # 40 epochs from 0.99: method sheet, section 1.6.
    published = {0: 0.9900, 10: 0.99146, 20: 0.9950, 30: 0.99854, 39: 0.99998}
    for epoch, decay in published.items():
        assert ema_decay_at(epoch / 40, start=0.99) == pytest.approx(decay, abs=6e-6)


def test_windows_keep_view_and_order() -> None:
    numbers = torch.arange(2 * 4 * 3).view(2, 4, 3, 1)  # segment, tick, view
    windows = cut_windows(numbers, 3)
    assert windows.shape == (2 * 3 * 2, 3, 1)
    expected = {
        tuple(numbers[b, s : s + 3, v, 0].tolist()) for b in range(2) for s in range(2) for v in range(3)
    }
    assert {tuple(window[:, 0].tolist()) for window in windows} == expected


def test_forward_dropout_acts_in_training() -> None:
    dynamo = make(forward_dropout=0.5)
    assert dynamo(segments()).total.item() != dynamo(segments()).total.item()


def test_a_segment_shorter_than_the_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="segments of 2 ticks are shorter than the window of 3"):
        make()(segments(ticks=2))


def test_inverse_in_ema_without_ema_is_refused() -> None:
    with pytest.raises(ConfigError, match="inverse_in_ema needs target: ema"):
        DynamoConfig(inverse_in_ema=True)
