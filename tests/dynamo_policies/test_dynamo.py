"""DynaMo's loss against a second, literal transcription of its formulas in float64, written with loops."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch

from dynamo_policies.encoders import Encoder, EncoderConfig
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.transformer import CausalTransformer
from dynamo_policies.objectives.averages import ema_decay_at
from dynamo_policies.objectives.dynamo import Dynamo, DynamoConfig
from dynamo_policies.objectives.terms import cut_windows

SMALL: dict[str, Any] = {"window": 3, "latent_size": 4, "layers": 2, "heads": 2, "width": 8}
ENCODER = EncoderConfig(image_size=32, channels=8, seed=5)
Target = Literal["simsiam", "ema"]
Covariance = Literal["paper", "released"]


def make(**settings: Any) -> Dynamo:
    generator = torch.Generator().manual_seed(2)
    return Dynamo(DynamoConfig(**(SMALL | settings)), Encoder(ENCODER), generator).double().train()


def segments(ticks: int = 4) -> torch.Tensor:
    shape = (2, ticks, 2, 32, 32, 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(7), dtype=torch.uint8)


def oracle_transformer(net: CausalTransformer, sequence: torch.Tensor) -> torch.Tensor:
    """One sequence (T, inputs) through the transformer, position by position and head by head."""
    p = dict(net.named_parameters())
    length, width, heads = sequence.shape[0], net.config.width, net.config.heads
    size = width // heads

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return p[f"{name}.weight"] @ x + p[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean()
        return p[f"{name}.weight"] * centred / torch.sqrt((centred**2).mean() + 1e-5) + p[f"{name}.bias"]

    rows = [linear("read", sequence[t]) + p["positions.weight"][t] for t in range(length)]
    for layer in range(net.config.layers):
        block = f"blocks.{layer}"
        split = [linear(f"{block}.attention.split", norm(f"{block}.attention_norm", row)) for row in rows]
        attended = []
        for t in range(length):
            parts = []
            for head in range(heads):
                at = slice(head * size, (head + 1) * size)
                query = split[t][:width][at]
                scores = torch.stack(
                    [query @ split[s][width : 2 * width][at] / math.sqrt(size) for s in range(t + 1)]
                )
                weights = torch.exp(scores) / torch.exp(scores).sum()
                parts.append(sum(weights[s] * split[s][2 * width :][at] for s in range(t + 1)))
            attended.append(rows[t] + linear(f"{block}.attention.merge", torch.cat(parts)))
        rows = []
        for row in attended:
            hidden = linear(f"{block}.expand", norm(f"{block}.expand_norm", row))
            hidden = 0.5 * hidden * (1.0 + torch.erf(hidden / math.sqrt(2.0)))
            rows.append(row + linear(f"{block}.contract", hidden))
    return torch.stack([linear("write", norm("norm", row)) for row in rows])


def oracle_loss(dynamo: Dynamo, batch: torch.Tensor, target: Target, covariance: Covariance) -> torch.Tensor:
    """The loss as the facts state it: for each view, window and step; then the covariance over all views."""
    config = dynamo.config
    embeddings = dynamo.encoder(batch)
    if target == "ema":
        assert dynamo.target_encoder is not None
        targets = dynamo.target_encoder(batch).detach()
    else:
        targets = embeddings.detach()
    count, ticks, views, features = embeddings.shape
    of_views = []
    for view in range(views):
        cosines = []
        for i in range(count):
            for start in range(ticks - config.window + 1):
                states = embeddings[i, start : start + config.window, view]
                latents = oracle_transformer(dynamo.inverse, states)
                tokens = torch.stack(
                    [torch.cat([states[t], latents[t + 1]]) for t in range(config.window - 1)]
                )
                predicted = oracle_transformer(dynamo.forward_model, tokens)
                for t in range(config.window - 1):
                    goal = targets[i, start + t + 1, view]
                    cosines.append(predicted[t] @ goal / (predicted[t].norm() * goal.norm()))
        of_views.append(1.0 - sum(cosines) / len(cosines))
    rows = embeddings.reshape(-1, features)
    centred = rows - rows.mean(0)
    matrix = centred.T @ centred / (rows.shape[0] - 1)
    squares = (matrix**2).sum() - (matrix.diagonal() ** 2).sum()
    scale = 1 / features if covariance == "paper" else 1 / (features * (features - 1))
    return sum(of_views) / views + 0.04 * scale * squares


@pytest.mark.parametrize("target", ["simsiam", "ema"])
@pytest.mark.parametrize("covariance", ["paper", "released"])
def test_loss_and_gradients_are_those_of_the_formulas(target: Target, covariance: Covariance) -> None:
    dynamo = make(target=target, covariance=covariance)
    parameters = [p for p in dynamo.parameters() if p.requires_grad]
    given = dynamo(segments()).total
    expected = oracle_loss(dynamo, segments(), target, covariance)
    assert given.item() == pytest.approx(expected.item(), rel=1e-9)
    ours = torch.autograd.grad(given, parameters)
    theirs = torch.autograd.grad(expected, parameters)
    for our, their in zip(ours, theirs, strict=True):
        assert (our - their).norm() <= 1e-6 * their.norm() + 1e-12


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
