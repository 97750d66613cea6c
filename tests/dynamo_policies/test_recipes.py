"""Budgets, presets and schedules of a pretraining run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import foreign_factory
from dynamo_policies.encoders import save_encoder
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.foreign import import_encoder
from dynamo_policies.foreign_weights import ForeignWeightsError
from dynamo_policies.objectives.averages import ema_decay_at
from dynamo_policies.optimisers import make_optimiser
from dynamo_policies.pretraining import make_objective
from dynamo_policies.recipes import Recipe, load_recipe
from dynamo_policies.schedules import average_progress, set_learning_rates, share_at

CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"
TINY: dict[str, Any] = {"image_size": 32, "channels": 4, "layers": 1, "heads": 2, "width": 8}


def tiny(name: str, *, preset: str | None = None, **changes: Any) -> Recipe:
    return load_recipe(CONFIGS / f"{name}.yaml", preset=preset, **(TINY | changes))


def of_text(folder: Path, text: str, *, preset: str | None = None, **changes: Any) -> Recipe:
    path = folder / "run.yaml"
    path.write_text(text)
    return load_recipe(path, preset=preset, **changes)


def rates_of(recipe: Recipe, epochs: list[int]) -> dict[str, list[float]]:
    """Return each network's learning rate in the middle of `epochs`, of 7 steps each."""
    optimiser = make_optimiser(make_objective(recipe), recipe.run)
    found: dict[str, list[float]] = {}
    for epoch in epochs:
        set_learning_rates(optimiser, recipe.run, 7 * epoch + 3)
        for name, rate in {group["name"]: group["lr"] for group in optimiser.param_groups}.items():
            found.setdefault(name, []).append(rate)
    return found


def test_released_learning_rates_are_those_of_the_authors_code() -> None:
    recipe = tiny("franka_kitchen").over(range(7 * 64))
    rates = rates_of(recipe, [0, 1, 5, 20, 39])
    published = [0.0, 2e-5, 1e-4, 6.1e-5, 2.0e-7]  # method sheet, section 1.7
    assert rates["encoder"] == pytest.approx(published, rel=0.01)
    assert rates["inverse"] == rates["encoder"]
    assert rates["forward"] == [1e-4] * 5


def test_the_papers_learning_rates_move_with_each_step_and_for_all_networks() -> None:
    recipe = tiny("franka_kitchen", preset="paper").over(range(7 * 64))
    rates = rates_of(recipe, [0, 20])
    assert rates["forward"] == rates["encoder"]
    shares = [share_at(recipe.run, step) for step in range(280)]
    assert len(set(shares)) > 270
    assert min(shares) > 0.0


def test_libero_goal_keeps_its_rate_from_random_weights_only() -> None:
    constant, cosine = (tiny(name).over(range(64)).run for name in ("libero_goal", "libero_goal_imagenet"))
    assert {share_at(constant, step) for step in range(40)} == {1.0}
    assert len({share_at(cosine, step) for step in range(40)}) > 30


def test_the_released_decay_moves_between_epochs_only() -> None:
    recipe = tiny("block_pushing").over(range(7 * 64))
    decays = [ema_decay_at(average_progress(recipe.run, step), start=0.99) for step in range(280)]
    assert len(set(decays)) == 40
    assert decays[:7] == [0.99] * 7
    assert decays[7 * 10 + 6] == pytest.approx(0.99146, abs=6e-6)
    smooth = tiny("block_pushing", preset="paper").over(range(7 * 64)).run
    assert len({average_progress(smooth, step) for step in range(280)}) == 280


def test_epochs_become_steps_that_show_every_segment() -> None:
    recipe = tiny("push_t")
    assert recipe.over(range(65)).run.steps == 40 * 2
    assert recipe.over(range(64)).run.steps == 40
    assert recipe.over(range(3)).run.steps == 40
    assert recipe.over(range(65)).over(range(65)) == recipe.over(range(65))
    in_steps = tiny("dynamo")
    assert in_steps.over(range(65)) == in_steps


def test_a_budget_given_by_hand_replaces_the_files() -> None:
    assert tiny("franka_kitchen", preset="paper", steps=9).over(range(999)).run.steps == 9
    assert tiny("dynamo", epochs=2).over(range(18)).run.steps == 2 * 3


def test_two_budgets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="given in steps and in epochs; one of them is possible"):
        of_text(tmp_path, "steps: 3\nepochs: 2\n")


def test_moving_by_epochs_needs_epochs() -> None:
    with pytest.raises(ConfigError, match="schedule_every: epoch needs a budget in epochs"):
        tiny("franka_kitchen", steps=9)


def test_a_files_own_keys_come_over_its_preset_and_a_preset_by_hand_over_both(tmp_path: Path) -> None:
    text = "preset: released\nepochs: 3\ncovariance: paper\nschedule_every: step\n"
    own = of_text(tmp_path, text).settings
    assert (own["covariance"], own["schedule_every"], own["ema_every"]) == ("paper", "step", "epoch")
    by_hand = of_text(tmp_path, text, preset="released").settings
    assert (by_hand["covariance"], by_hand["schedule_every"]) == ("released", "epoch")


def test_the_average_of_the_inverse_model_needs_an_average() -> None:
    assert tiny("block_pushing").settings["inverse_in_ema"] is True
    assert tiny("block_pushing", preset="paper").settings["inverse_in_ema"] is False
    assert tiny("push_t").settings["inverse_in_ema"] is False


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="preset 'relased' is unknown; did you mean 'released'"):
        tiny("push_t", preset="relased")


def test_weight_decay_spares_vectors_of_the_transformers_but_none_of_the_encoder() -> None:
    optimiser = make_optimiser(objective := make_objective(recipe := tiny("push_t")), recipe.run)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {decay[id(p)] for p in objective.encoder.parameters()} == {1e-6}
    for name in ("inverse", "forward"):
        for parameter in objective.networks()[name].parameters():
            assert decay[id(parameter)] == (1e-6 if parameter.ndim >= 2 else 0.0)
    assert len(decay) == len(list(objective.parameters()))
    assert tiny("push_t", preset="paper").run.weight_decay == 0.0


# Tables 8 and 10 of the paper: window, target, forward dropout, latent size, learning rate.
PUBLISHED = {
    "franka_kitchen": (2, "simsiam", 0.0, 64, 1e-4),
    "block_pushing": (5, "ema", 0.3, 16, 1e-4),
    "push_t": (5, "simsiam", 0.0, 8, 1e-4),
    "libero_goal": (5, "simsiam", 0.0, 32, 1e-4),
    "xarm_kitchen": (5, "ema", 0.0, 64, 1e-4),
    "franka_kitchen_imagenet": (2, "simsiam", 0.0, 64, 1e-5),
    "block_pushing_imagenet": (5, "ema", 0.0, 16, 1e-5),
    "push_t_imagenet": (5, "simsiam", 0.0, 8, 1e-5),
    "libero_goal_imagenet": (5, "ema", 0.0, 32, 1e-5),
    "allegro": (5, "simsiam", 0.0, 32, 1e-5),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_configs_have_the_published_values(name: str) -> None:
    s = load_recipe(CONFIGS / f"{name}.yaml").settings
    keys = ("window", "target", "forward_dropout", "latent_size", "learning_rate")
    assert tuple(s[key] for key in keys) == PUBLISHED[name]
    shared = {"clip_norm": 0.1, "covariance_weight": 0.04, "epochs": 40, "segments": 64, "train_share": 0.95}
    assert {key: s[key] for key in shared} == shared
    assert s["segment_length"] == s["window"]
    assert s["image_size"] == (128 if name == "xarm_kitchen" else 224)
    assert bool(s["init"]) is (s["learning_rate"] == 1e-5)
    small = name.startswith("block_pushing")
    assert (s["layers"], s["heads"], s["width"]) == ((4, 4, 72) if small else (6, 6, 120))


def test_the_optimiser_has_the_published_betas() -> None:
    optimiser = make_optimiser(make_objective(recipe := tiny("push_t")), recipe.run)
    assert isinstance(optimiser, torch.optim.AdamW)
    assert {group["betas"] for group in optimiser.param_groups} == {(0.9, 0.999)}


def test_fine_tuning_starts_from_a_checkpoint_or_an_encoder_folder(tmp_path: Path) -> None:
    path = foreign_factory.save(tmp_path / "resnet18.pth", foreign_factory.imagenet())
    objective = make_objective(tiny("push_t_imagenet", init=str(path)))
    statistics = foreign_factory.resnet()["bn1.running_mean"]
    assert torch.equal(objective.encoder.trunk.bn1.running_mean, statistics)
    assert all(parameter.requires_grad for parameter in objective.encoder.parameters())
    loaded = import_encoder(path, image_size=32)
    save_encoder(tmp_path / "encoder", loaded.encoder, loaded.record)
    averaged = make_objective(tiny("block_pushing_imagenet", init=str(tmp_path / "encoder")))
    # The target keeps ImageNet's statistics, as in the authors' code.
    assert torch.equal(averaged.target_encoder.trunk.bn1.running_mean, statistics)


def test_a_file_to_start_from_that_is_not_there_is_named() -> None:
    with pytest.raises(ForeignWeightsError, match=r"can't read weights/resnet18-f37072fd\.pth"):
        make_objective(tiny("push_t_imagenet"))


def test_batch_norms_stay_plain_in_a_run_of_one_process() -> None:
    objective = make_objective(tiny("push_t"))
    assert objective.encoder.trunk.bn1.__class__ is torch.nn.BatchNorm2d
