"""Gradient accumulation, deterministic runs, resident frames, and what is fetched ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import team_run
from dynamo_policies.clips import ClipError, SegmentSampler
from dynamo_policies.contract import Contract
from dynamo_policies.encoders import load_encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.feeding import Batch, feeding
from dynamo_policies.nets.vit import VITS, VitSizes
from dynamo_policies.pretraining import Origin, make_objective, pretrain
from dynamo_policies.processes import determined, join
from dynamo_policies.recipes import PretrainConfig, Recipe, load_recipe
from dynamo_policies.steps import learn
from toy_episodes import make_episode
from toy_segments import Squares

CONFIGS = Path(__file__).parents[2] / "config" / "pretrain"


@pytest.fixture
def _small_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VITS, "vit_t8", VitSizes(patch=8, width=16, layers=2, heads=2))


def gradients(chosen: Recipe) -> dict[str, torch.Tensor]:
    """Return the gradients of the first step of `chosen`."""
    sampler = Squares()
    segments = torch.from_numpy(sampler.sample(chosen.run.segments))
    objective = make_objective(chosen).train()
    learn(objective, Batch(segments, ()), chosen.run, 0, join("cpu", accumulate=chosen.run.accumulate))
    return {name: p.grad for name, p in objective.named_parameters() if p.grad is not None}


@pytest.mark.usefixtures("_small_transformer")
def test_gradients_of_parts_add_up_to_those_of_the_whole() -> None:
    def without_batches(parts: int, weight: float) -> dict[str, torch.Tensor]:
        changes = {"encoder": "vit_t8", "covariance_weight": weight, "accumulate": parts}
        return gradients(team_run.recipe("dynamo", **changes))

    whole, halves = without_batches(1, 0.0), without_batches(2, 0.0)
    assert whole
    for name, gradient in whole.items():
        torch.testing.assert_close(halves[name], gradient, rtol=1e-4, atol=1e-7)
    # The covariance is that of a part: the one term that is no mean over segments.
    whole, halves = without_batches(1, 100.0), without_batches(2, 100.0)
    name = "encoder.trunk.cls_token"
    assert not torch.allclose(halves[name], whole[name], rtol=1e-2, atol=0.0)


def test_segments_that_do_not_divide_into_parts_are_refused() -> None:
    with pytest.raises(ConfigError, match="segments 4 can't be learned from in 3 parts"):
        team_run.recipe("dynamo", accumulate=3)


def final_weights(folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    pretrain(team_run.recipe("dynamo", **changes), Squares(), folder, origin=Origin("c", ()))
    return load_encoder(folder).encoder.trunk.state_dict()


def test_deterministic_runs_are_equal_to_the_bit(tmp_path: Path) -> None:
    changes = {"deterministic": True, "forward_dropout": 0.3, "precision": "bf16"}
    one, other = (final_weights(tmp_path / name, **changes) for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.are_deterministic_algorithms_enabled()


def test_algorithms_are_deterministic_inside_the_block_only() -> None:
    with determined(wanted=True):
        assert torch.are_deterministic_algorithms_enabled()
    with determined(wanted=False):
        assert not torch.are_deterministic_algorithms_enabled()


def sampler_of(contract: Contract) -> SegmentSampler:
    episodes = [make_episode(contract, [True] * 9), make_episode(contract, [True] * 7, first=50)]
    return SegmentSampler(
        episodes, 3, seed=2, actions=[np.eye(9, dtype=np.float32), np.eye(7, 9, dtype=np.float32)]
    )


def batches(contract: Contract, count: int, **changes: Any) -> list[Batch]:
    config, team = PretrainConfig(segments=4, **changes), join("cpu")
    with feeding(sampler_of(contract), config, team, actions=True) as feed:
        return [feed.next(team.device) for _ in range(count)]


def test_resident_frames_give_the_same_batches(contract: Contract) -> None:
    mapped, resident = (batches(contract, 6, resident=kind) for kind in (False, True))
    for one, other in zip(mapped, resident, strict=True):
        assert torch.equal(one.segments, other.segments)
        assert torch.equal(one.actions[0], other.actions[0])


def test_what_is_fetched_ahead_is_not_in_the_state(contract: Contract) -> None:
    sampler, team = sampler_of(contract), join("cpu")
    with feeding(sampler, PretrainConfig(segments=4), team, actions=False) as feed:
        for _ in range(3):
            feed.next(team.device)
        state = feed.state
    following = sampler_of(contract)
    following.restore(state)
    expected = sampler_of(contract)
    expected.sample(12)
    np.testing.assert_array_equal(following.sample(4), expected.sample(4))


def test_an_error_of_the_fetching_thread_arrives(contract: Contract) -> None:
    episodes = [make_episode(contract, [True] * 9)]
    team = join("cpu")
    with (
        feeding(SegmentSampler(episodes, 3, seed=0), PretrainConfig(segments=2), team, actions=True) as feed,
        pytest.raises(ClipError, match="this sampler was made without actions"),
    ):
        feed.next(team.device)


def test_a_config_of_before_has_the_new_settings_at_rest() -> None:
    run = load_recipe(CONFIGS / "dynamo.yaml").run
    assert (run.accumulate, run.resident, run.deterministic) == (1, "auto", False)
