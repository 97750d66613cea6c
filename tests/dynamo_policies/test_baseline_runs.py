"""Every baseline in the loop: exact resume, seeds, learning, a record that can be deployed; and collapses."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import load_encoder
from dynamo_policies.nets.vit import VITS, VitSizes
from dynamo_policies.pretraining import CollapseError, Finished, Origin, make_objective, pretrain
from dynamo_policies.recipes import Recipe, load_recipe
from dynamo_policies.tensorfiles import TensorFileError, read_tensors
from toy_segments import Grey, InterruptedRunError, Squares, interrupt_after

CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"
LOOP: dict[str, Any] = {
    "image_size": 32, "channels": 4, "segment_length": 4, "segments": 2, "steps": 4, "checkpoint_every": 2,
    "log_every": 1, "precision": "float32",
}  # fmt: skip
HEADS = {"hidden": 16, "projection": 8}
SMALL: dict[str, dict[str, Any]] = {
    "byol": HEADS,
    "byol_t": HEADS,
    "moco_v3": HEADS | {"temperature": 0.2},
    "rpt": {"layers": 1, "heads": 2, "width": 16},
    "tcn_mv": {"embedding": 8},
    "tcn_sv": {"embedding": 8, "positive_radius": 1, "negative_radius": 1},
    "mae_small": {"decoder_width": 16, "decoder_layers": 1, "decoder_heads": 2},
}
# Learning rate, and to what share of its first five the mean loss of the last five of 30 steps must fall.
LEARNING: dict[str, tuple[float, float]] = {
    "byol": (3e-3, 0.7),
    "byol_t": (3e-3, 0.7),
    "moco_v3": (3e-3, 0.95),
    "rpt": (3e-3, 0.8),
    "tcn_mv": (3e-3, 0.88),
    "tcn_sv": (3e-3, 0.72),
    "mae_small": (3e-3, 0.85),
}


@pytest.fixture(autouse=True)
def _small_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VITS, "vit_t8", VitSizes(patch=8, width=16, layers=2, heads=2))


def recipe(name: str, **changes: Any) -> Recipe:
    return load_recipe(CONFIGS / f"{name}.yaml", **(LOOP | SMALL.get(name, {}) | changes))


def run(folder: Path, chosen: Recipe, **options: Any) -> Finished:
    return pretrain(chosen, Squares(), folder, origin=Origin("c0ffee", ("b0",)), **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_encoder(folder).encoder.trunk.state_dict()


def are_equal(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", SMALL)
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path: Path, name: str) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole, recipe(name))
    with pytest.raises(InterruptedRunError):
        run(cut, recipe(name), on_step=interrupt_after(3))  # a step past the checkpoint
    torch.manual_seed(99)
    run(cut, recipe(name), resume=True)
    assert are_equal(cut, whole)
    other = tmp_path / "other"
    run(other, recipe(name, seed=1))
    assert not are_equal(other, whole)


@pytest.mark.parametrize("optimiser", ["lars", "adam"])
def test_runs_resume_exactly_with_other_optimisers(tmp_path: Path, optimiser: str) -> None:
    chosen = recipe("byol", optimiser=optimiser, learning_rate=0.1, weight_decay=1e-4)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole, chosen)
    with pytest.raises(InterruptedRunError):
        run(cut, chosen, on_step=interrupt_after(3))
    run(cut, chosen, resume=True)
    assert are_equal(cut, whole)


def fall(folder: Path, name: str, **changes: Any) -> float:
    """The mean loss of a run's last five steps over that of its first five."""
    losses: list[float] = []
    chosen = recipe(name, segments=4, checkpoint_every=100, log_every=100, **changes)
    run(folder, chosen, on_step=lambda report: losses.append(report.loss))
    return float(np.mean(losses[-5:]) / np.mean(losses[:5]))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_the_loss_falls_by_training_alone(tmp_path: Path, name: str) -> None:
    rate, share = LEARNING[name]
    trained = fall(tmp_path / "trained", name, steps=30, learning_rate=rate)
    still = fall(tmp_path / "still", name, steps=10, learning_rate=1e-12)
    assert trained < share
    assert trained < still - 0.05


@pytest.mark.parametrize("name", ["byol", "mae_small"])
def test_what_a_run_leaves_is_deployed_as_any_encoder(tmp_path: Path, name: str) -> None:
    run(tmp_path, recipe(name, precision="bf16"))
    loaded = load_encoder(tmp_path)
    assert loaded.record.objective == name.removesuffix("_small")
    assert loaded.record.config.kind == ("vit_t8" if name == "mae_small" else "resnet18")
    images = {"fixed": Squares().sample(1)[0, 0, 0], "wrist": Squares().sample(1)[0, 1, 1]}
    embedder = Embedder(loaded.encoder, ("fixed", "wrist"), precision="bf16")
    features = embedder.embed(images)
    assert features.shape == (2 * loaded.record.config.feature_size,)
    assert np.isfinite(features).all()


@pytest.mark.parametrize("name", ["byol", "mae_small"])
def test_a_run_may_start_from_another_encoder(tmp_path: Path, name: str) -> None:
    run(tmp_path / "first", recipe(name))
    run(tmp_path / "still", recipe(name, init=str(tmp_path / "first"), learning_rate=1e-12, weight_decay=0.0))
    run(tmp_path / "afresh", recipe(name, learning_rate=1e-12, weight_decay=0.0))
    first, still, afresh = (
        next(iter(weights(tmp_path / folder).values())) for folder in ("first", "still", "afresh")
    )
    torch.testing.assert_close(still, first)
    assert not torch.allclose(afresh, first)


@pytest.mark.parametrize(("name", "moved"), [("moco_v3", False), ("byol", True)])
def test_the_average_of_byol_follows_a_step_and_that_of_moco_precedes_it(
    tmp_path: Path, name: str, moved: bool
) -> None:
    chosen = recipe(name, checkpoint_every=1, learning_rate=0.01, warmup=0.0)
    with pytest.raises(InterruptedRunError):
        run(tmp_path, chosen, on_step=interrupt_after(1))
    tensors, _ = read_tensors(tmp_path / "checkpoint.safetensors")
    start = make_objective(chosen).encoder.trunk.state_dict()["conv1.weight"]
    assert torch.equal(tensors["model.target.0.trunk.conv1.weight"], start) is not moved
    assert not torch.equal(tensors["model.encoder.trunk.conv1.weight"], start)


def test_a_run_that_collapses_is_stopped_with_advice(tmp_path: Path) -> None:
    # DynaMo without stopped gradients or a moving average, the paper's ablation that collapses.
    tiny = {"window": 3, "latent_size": 4, "layers": 1, "heads": 2, "width": 8}
    long = {"steps": 200, "checkpoint_every": 1000, "log_every": 4, "segments": 4, "learning_rate": 0.01}
    live = {"target": "live", "covariance_weight": 0.0}
    chosen = load_recipe(CONFIGS / "dynamo.yaml", **(LOOP | tiny | long | live))
    steps: list[int] = []
    says = r"stopped at step \d+, the encoder collapses: .*Advice: target: simsiam.*stop_on_collapse: false"
    with pytest.raises(CollapseError, match=says):
        run(tmp_path, chosen, on_step=lambda report: steps.append(report.step))
    assert 20 < steps[-1] < 190
    with pytest.raises(TensorFileError, match=r"encoder\.json"):
        load_encoder(tmp_path)


def test_blind_images_stop_a_run_after_as_many_checks_as_asked_for(tmp_path: Path) -> None:
    steps: list[int] = []
    chosen = recipe("tcn_sv", steps=20, log_every=2, collapse_checks=3, colours="as_recorded")
    with pytest.raises(CollapseError, match=r"the loss is 0\.2, a blind encoder's is 0\.2"):
        pretrain(chosen, Grey(), tmp_path, origin=Origin("c", ()), on_step=lambda r: steps.append(r.step))
    assert steps[-1] == 5  # the third check is that of step 6, which is not reported


def test_a_blind_encoders_loss_is_no_sign_while_the_rate_rises(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = recipe("tcn_sv", steps=6, warmup=0.5, stop_on_collapse=False, colours="as_recorded")
    with caplog.at_level(logging.WARNING):
        pretrain(chosen, Grey(), tmp_path, origin=Origin("c", ()))
    warned = [record.getMessage() for record in caplog.records]
    assert ["a blind encoder's is 0.2" in message for message in warned] == [False] * 3 + [True] * 3


def test_a_run_may_go_on_regardless(tmp_path: Path) -> None:
    chosen = recipe("tcn_sv", steps=6, collapse_checks=1, stop_on_collapse=False, colours="as_recorded")
    finished = pretrain(chosen, Grey(), tmp_path, origin=Origin("c", ()))
    assert finished.metrics["steps"] == 6
