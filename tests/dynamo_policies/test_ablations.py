"""The paper's ablations and ground-truth variants, each from its config through the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamo_policies.clips import SegmentSampler
from dynamo_policies.contract import Contract
from dynamo_policies.encoders import load_encoder
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError
from dynamo_policies.presets import PRESETS
from dynamo_policies.pretraining import Finished, Origin, make_objective, make_optimiser, pretrain
from dynamo_policies.recipes import Recipe, load_recipe

CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"
ABLATIONS = {path.stem: path for path in sorted((CONFIGS / "ablations").glob("*.yaml"))}
TINY: dict[str, Any] = {
    "image_size": 32, "channels": 4, "segment_length": 6, "segments": 2, "steps": 4, "checkpoint_every": 2,
    "precision": "float32", "layers": 1, "heads": 2, "width": 8,
}  # fmt: skip
LABELLED = ("action_labels", "inverse_only_gt")


def tiny(name: str, **changes: Any) -> Recipe:
    return load_recipe(ABLATIONS[name], **(TINY | changes))


def sampler(contract: Contract) -> SegmentSampler:
    """Noise that a labelled action drives: it gets brighter by the action."""
    random, count = np.random.default_rng(0), 20
    actions = random.normal(size=(count, 7)).astype(np.float32)
    images = random.integers(0, 80, (count, 32, 32, 3), dtype=np.uint8)
    images += (40 * np.cumsum(actions[:, 0]) % 80).astype(np.uint8)[:, None, None, None]
    values: dict[str, Any] = {
        "tick_ns": np.arange(count, dtype=np.int64) * contract.period_ns,
        "state": np.zeros((count, 8), np.float32),
        "valid": np.ones(count, bool),
        "target_gripper": np.zeros(count),
    }
    for name, size in (("position", 3), ("quaternion", 4)):
        values |= {f"{of}_{name}": np.zeros((count, size)) for of in ("measured", "target")}
    episode = Episode(
        path=Path("episode"),
        task="put_yogurt",
        outcome="success",
        contract=contract,
        images={"fixed": images, "wrist": images},
        **values,
    )
    return SegmentSampler([episode], 6, seed=0, actions=[actions])


def run(folder: Path, recipe: Recipe, contract: Contract, **options: Any) -> Finished:
    return pretrain(recipe, sampler(contract), folder, origin=Origin("c0ffee", ("b0",)), **options)


def test_all_of_the_papers_are_there() -> None:
    assert set(ABLATIONS) == {
        *("no_forward", "no_inverse", "no_bottleneck", "no_covariance", "no_stop_gradient", "short_context"),
        *LABELLED,
    }


def test_each_differs_from_the_full_recipe_in_what_it_is_named_after() -> None:
    full = load_recipe(CONFIGS / "dynamo.yaml").settings
    changed = {
        name: {key for key, value in load_recipe(path).settings.items() if full.get(key) != value}
        for name, path in ABLATIONS.items()
    }
    assert changed == {
        "no_forward": {"dynamics"},
        "no_inverse": {"dynamics"},
        "no_bottleneck": {"latent_size"},
        "no_covariance": {"covariance_weight"},
        "no_stop_gradient": {"target", "stop_on_collapse"},
        "short_context": {"window"},
        "action_labels": {"objective", "relative", "action_weight", "action_size", "head_width"},
        "inverse_only_gt": {"objective", "relative", "action_weight", "action_size"},
    }
    assert load_recipe(ABLATIONS["no_bottleneck"]).objective.latent_size == 512


@pytest.mark.parametrize("name", sorted(set(ABLATIONS) - set(LABELLED)))
def test_each_trains(tmp_path: Path, name: str, contract: Contract) -> None:
    finished = run(tmp_path, tiny(name, steps=2), contract)
    assert np.isfinite(finished.metrics["loss_last"])
    assert load_encoder(tmp_path).record.settings["window"] == finished.record.settings["window"]


@pytest.mark.parametrize("name", LABELLED)
def test_runs_with_actions_resume_to_the_bit(tmp_path: Path, name: str, contract: Contract) -> None:
    recipe = tiny(name)
    whole = run(tmp_path / "whole", recipe, contract)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", recipe, contract, on_step=stop_after_three)
    resumed = run(tmp_path / "cut", recipe, contract, resume=True)
    assert resumed.record.weights_sha256 == whole.record.weights_sha256
    assert load_encoder(tmp_path / "cut").record.objective == recipe.run.objective


def stop_after_three(report: Any) -> None:
    if report.step == 3:
        raise KeyboardInterrupt


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ABLATIONS)
def test_each_goes_with_both_presets(name: str, preset: str) -> None:
    small = {key: value for key, value in TINY.items() if key != "steps"}
    recipe = load_recipe(ABLATIONS[name], preset=preset, epochs=1, **small)
    assert make_optimiser(make_objective(recipe), recipe.run).param_groups


@pytest.mark.parametrize("name", LABELLED)
def test_known_actions_are_learned(tmp_path: Path, name: str, contract: Contract) -> None:
    recipe = tiny(name, steps=15, learning_rate=3e-3, checkpoint_every=100)
    objective = make_objective(recipe)
    images, actions = (torch.from_numpy(part) for part in sampler(contract).sample_with_actions(4))
    optimiser, losses = make_optimiser(objective, recipe.run), []
    for _ in range(recipe.run.steps):
        found = objective(images, actions)
        found.total.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(found.parts["actions"]))
    assert losses[-1] < 0.9 * losses[0]


def test_presets_are_refused_for_other_objectives(tmp_path: Path) -> None:
    (tmp_path / "byol.yaml").write_text("objective: byol\n")
    with pytest.raises(ConfigError, match=r"presets are for dynamo, .* the objective is byol"):
        load_recipe(tmp_path / "byol.yaml", preset="paper")
