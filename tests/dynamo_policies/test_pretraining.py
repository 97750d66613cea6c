from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dynamo_policies.encoders import load_encoder
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.health import effective_rank, embedding_std
from dynamo_policies.objectives import OBJECTIVES
from dynamo_policies.objectives.averages import ema_decay_at
from dynamo_policies.optimisers import make_optimiser
from dynamo_policies.pretraining import (
    CollapseError,
    Finished,
    Origin,
    PretrainError,
    _read,
    make_objective,
    pretrain,
)
from dynamo_policies.processes import join
from dynamo_policies.recipes import Recipe, load_recipe
from dynamo_policies.schedules import learning_rate_share, set_learning_rates
from dynamo_policies.tensorfiles import TensorFileError, read_json
from dynamo_policies.validation import Validation
from toy_segments import Grey, InterruptedRunError, Squares, interrupt_after

CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"
TINY: dict[str, Any] = {
    "image_size": 32, "channels": 8, "segment_length": 4, "segments": 2, "steps": 6, "checkpoint_every": 3,
    "log_every": 2, "precision": "float32", "forward_dropout": 0.2,
    "window": 3, "latent_size": 4, "layers": 1, "heads": 2, "width": 8,
}  # fmt: skip
LOOP_ALONE = {key: TINY[key] for key in ("image_size", "channels", "segment_length", "segments", "steps")}
SMALL_OTHERS = {
    "byol": {"hidden": 8, "projection": 8},
    "rpt": {"layers": 1, "heads": 2, "width": 16},
}
ORIGIN = Origin(contract_hash="c0ffee", bag_hashes=("b0", "b1"))


def recipe(name: str = "dynamo", **changes: Any) -> Recipe:
    return load_recipe(CONFIGS / f"{name}.yaml", **(TINY | changes))


def scalars(folder: Path, name: str) -> list[Any]:
    """Return the points of the curve `name`, as TensorBoard shows them."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events.Scalars(name)


def run(folder: Path, chosen: Recipe, **options: Any) -> Finished:
    return pretrain(chosen, Squares(), folder, origin=ORIGIN, **options)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_encoder(folder).encoder.trunk.state_dict()


@pytest.mark.parametrize("name", ["dynamo", "dynamo_ema"])
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path: Path, name: str) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = run(whole, recipe(name)).metrics
    with pytest.raises(InterruptedRunError):
        run(cut, recipe(name), on_step=interrupt_after(5))  # two steps past the checkpoint
    torch.manual_seed(99)
    given = run(cut, recipe(name), resume=True).metrics
    ours, theirs = weights(cut), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert given["loss_first"] == expected["loss_first"]
    assert given["loss_last"] == expected["loss_last"]


def test_a_run_leaves_an_encoder_with_its_history(tmp_path: Path) -> None:
    finished = run(tmp_path, recipe())
    loaded = load_encoder(tmp_path)
    assert loaded.record.weights_sha256 == finished.record.weights_sha256
    assert loaded.record.objective == "dynamo"
    assert loaded.record.settings["latent_size"] == 4
    assert loaded.record.bag_hashes == ("b0", "b1")
    assert read_json(tmp_path / "metrics.json") == finished.metrics
    assert finished.metrics["steps"] == 6


def test_curves_are_logged(tmp_path: Path) -> None:
    run(tmp_path, recipe())
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"loss", "dynamics", "covariance", "embedding_std", "effective_rank", "images_per_s"} <= tags
    assert {"embedding_norm", "variance_rank", "latent_std", "latent_norm"} <= tags
    assert "ema_decay" not in tags
    assert {f"learning_rate/{name}" for name in ("encoder", "inverse", "forward")} <= tags
    assert [event.step for event in events.Scalars("loss")] == [2, 4, 6]


@pytest.mark.parametrize("name", ["dynamo_ema", "byol", "moco_v3"])
def test_the_decay_of_moving_averages_is_logged(tmp_path: Path, name: str) -> None:
    small = TINY if name == "dynamo_ema" else {"hidden": 8, "projection": 8, **LOOP_ALONE}
    own = {"ema_decay": 0.9, **({} if name == "dynamo_ema" else {"ema_schedule": "cosine"})}
    chosen = load_recipe(CONFIGS / f"{name}.yaml", **(small | own | {"log_every": 1}))
    run(tmp_path, chosen)
    decays = [event.value for event in scalars(tmp_path, "ema_decay")]
    assert decays == pytest.approx([ema_decay_at(step / 6, start=0.9) for step in range(6)])


@pytest.mark.parametrize("name", ["dynamo", "dynamo_ema", "byol", "rpt"])
def test_losses_of_what_is_not_learned_from_are_logged_and_change_nothing(tmp_path: Path, name: str) -> None:
    small = TINY if name.startswith("dynamo") else LOOP_ALONE | SMALL_OTHERS[name]
    chosen = load_recipe(CONFIGS / f"{name}.yaml", **(small | {"log_every": 2, "precision": "float32"}))
    run(tmp_path / "with", chosen, validation=Squares())
    run(tmp_path / "without", chosen)
    ours, theirs = weights(tmp_path / "with"), weights(tmp_path / "without")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    points = scalars(tmp_path / "with", "validation/loss")
    assert [point.step for point in points] == [2, 4, 6]
    assert len({point.value for point in points}) == 3  # the same segments, another encoder
    assert all(np.isfinite(point.value) for point in points)


def test_segments_that_are_validated_are_always_the_same_ones() -> None:
    chosen, team = recipe(forward_dropout=0.5), join("cpu")
    objective = make_objective(chosen).train()
    validation = Validation(Squares(), chosen.run, team)
    first, again = validation.losses(objective), validation.losses(objective)
    assert first == again
    assert set(first) >= {"validation/loss", "validation/dynamics", "validation/covariance"}
    assert objective.training
    assert objective.encoder.trunk.bn1.num_batches_tracked == 0


def test_a_resumed_run_keeps_the_point_at_its_checkpoint(tmp_path: Path) -> None:
    chosen = recipe(log_every=1)
    with pytest.raises(InterruptedRunError):
        run(tmp_path, chosen, on_step=interrupt_after(5))  # two points past the checkpoint
    run(tmp_path, chosen, resume=True)
    assert [event.step for event in scalars(tmp_path, "loss")] == [1, 2, 3, 4, 5, 6]


def test_a_resumed_run_remembers_the_checks_that_were_bad(tmp_path: Path) -> None:
    chosen, steps = recipe(log_every=1, checkpoint_every=2, collapse_checks=5), []
    with pytest.raises(InterruptedRunError):
        pretrain(chosen, Grey(), tmp_path, origin=ORIGIN, on_step=interrupt_after(3))
    with pytest.raises(CollapseError, match="stopped at step 5"):
        pretrain(chosen, Grey(), tmp_path, origin=ORIGIN, resume=True, on_step=steps.append)
    assert [report.step for report in steps] == [3, 4]


def test_prediction_improves_by_training(tmp_path: Path) -> None:
    losses: list[float] = []
    chosen = recipe(steps=30, learning_rate=3e-3, forward_dropout=0.0, checkpoint_every=100)
    run(tmp_path, chosen, on_step=lambda report: losses.append(report.loss))
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_half_precision_trains_too(tmp_path: Path) -> None:
    metrics = run(tmp_path, recipe(precision="bf16", steps=2)).metrics
    assert np.isfinite(metrics["loss_last"])
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in weights(tmp_path).values())


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    run(tmp_path, recipe(checkpoint_every=100))
    with pytest.raises(PretrainError, match="holds a run already; resume it or name another folder"):
        run(tmp_path, recipe())


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    run(tmp_path, recipe())
    with pytest.raises(TensorFileError, match=r"other settings: steps: 9 instead of 6"):
        run(tmp_path, recipe(steps=9), resume=True)


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TensorFileError, match=r"checkpoint\.safetensors is not there"):
        run(tmp_path, recipe(), resume=True)


def test_losses_read_late_are_told_apart_by_their_steps() -> None:
    pending = [torch.tensor(value) for value in (0.5, 0.25)]
    assert _read(pending, 7) == [0.5, 0.25]
    assert pending == []
    late = [torch.tensor(value) for value in (0.5, torch.nan, 0.25)]
    with pytest.raises(PretrainError, match="the loss is nan at step 5; a lower learning_rate may help"):
        _read(late, 7)  # those of steps 4, 5 and 6


def test_a_collapse_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        pretrain(recipe(steps=2), Grey(), tmp_path, origin=ORIGIN)
    assert "the encoder may collapse" in caplog.text


def test_the_learning_rate_rises_then_falls_to_almost_nothing() -> None:
    shares = [learning_rate_share(step, 100, warmup=0.1) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9] == shares[10] == 1.0
    assert shares[55] == pytest.approx(0.5)
    assert 0.0 < shares[99] < 0.001
    assert learning_rate_share(0, 10, warmup=0.0) == 1.0


def test_a_network_named_constant_keeps_its_rate() -> None:
    chosen = recipe(constant_lr=["forward"], learning_rate=0.01)
    optimiser = make_optimiser(make_objective(chosen), chosen.run)
    set_learning_rates(optimiser, chosen.run, 5)
    rates = {group["name"]: group["lr"] for group in optimiser.param_groups}
    assert rates["forward"] == 0.01
    assert rates["encoder"] == rates["inverse"] < 0.01


def test_gradients_are_clipped_in_each_network_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms: list[float] = []
    real = torch.nn.utils.clip_grad_norm_

    def recording(parameters: Any, limit: float) -> torch.Tensor:
        held = list(parameters)
        total = real(held, limit)
        gradients = [p.grad.norm() for p in held if p.grad is not None]
        norms.append(float(torch.stack(gradients).norm()))
        return total

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", recording)
    run(tmp_path, recipe(steps=1, clip_norm=1e-3))
    assert norms == pytest.approx([1e-3] * 3, rel=1e-2)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_loads(path: Path) -> None:
    assert load_recipe(path).run.objective in OBJECTIVES


def test_an_unknown_key_names_the_nearest_of_both_parts() -> None:
    with pytest.raises(UnknownNameError, match="key 'latent_sise' is unknown; did you mean 'latent_size'"):
        recipe(latent_sise=3)


def test_a_window_longer_than_a_segment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="window 5 is longer than segments of 4"):
        run(tmp_path, recipe(window=5))


def test_rank_and_deviation_of_known_embeddings() -> None:
    line = torch.arange(10.0)[:, None] * torch.ones(1, 6)
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-3)
    assert embedding_std(line) == pytest.approx(float(torch.arange(10.0).std()))
    assert effective_rank(torch.cat([torch.eye(4), -torch.eye(4)])) == pytest.approx(4.0)
