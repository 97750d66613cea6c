"""What every policy must do, then what is particular to each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamo_policies.actions import ActionSpace
from dynamo_policies.configs import build
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.policies import (
    POLICIES,
    Demonstration,
    FittedPolicy,
    fit_policy,
    load_policy_config,
    policy_kind,
)
from dynamo_policies.policies.base import stack
from dynamo_policies.policies.fitting import last_of_each_task
from dynamo_policies.policies.scaling import Scaling
from dynamo_policies.tensorfiles import TensorFileError

CONFIGS = Path(__file__).parents[2] / "config" / "policy"
TASKS = ("put", "fetch")
SPACE = ActionSpace(reference_rotation=(1.0, 0.0, 0.0, 0.0), relative=True)
FEATURES, STATE, HORIZON = 6, 3, 4
QUICK: dict[str, dict[str, Any]] = {
    "mlp": {"horizon": HORIZON, "width": 32, "depth": 2, "steps": 300, "batch": 64, "feature_noise": 0.01},
    "knn": {"horizon": HORIZON, "neighbours": 3},
}


def demonstration(seed: int, task: str, ticks: int = 40) -> Demonstration:
    """A world in which the actions follow from the features, with the opposite sign in the other task."""
    random = np.random.default_rng(seed)
    phase = np.linspace(0.0, 3.0, ticks) + random.normal(0.0, 0.1)
    features = np.stack([np.sin(phase * (i + 1) / 2) for i in range(FEATURES)], axis=1)
    sign = 1.0 if task == "put" else -1.0
    action = sign * 0.1 * np.stack([np.cos(phase + i) for i in range(7)], axis=1)
    steps = np.arange(ticks)[:, None] + np.arange(HORIZON)
    return Demonstration(
        features=features.astype(np.float32),
        state=random.normal(size=(ticks, STATE)).astype(np.float32),
        valid=np.ones(ticks, bool),
        chunks=action[np.minimum(steps, ticks - 1)].astype(np.float32),
        mask=steps < ticks,
        task=task,
    )


DEMONSTRATIONS = [demonstration(i, TASKS[i % 2]) for i in range(20)]


def fitted(name: str, **settings: Any) -> FittedPolicy:
    config = build(policy_kind(name).config, QUICK[name] | settings, where="test")
    return fit_policy(name, config, DEMONSTRATIONS, TASKS, SPACE, seed=1)


@pytest.fixture(scope="module", params=sorted(POLICIES))
def policy(request: pytest.FixtureRequest) -> FittedPolicy:
    return fitted(request.param)


def test_a_chunk_has_the_horizons_shape(policy: FittedPolicy) -> None:
    chunk = policy.policy.act(np.zeros((1, FEATURES), np.float32), np.zeros((1, STATE), np.float32), "put")
    assert chunk.shape == (HORIZON, 7)
    assert chunk.dtype == np.float32


def test_demonstrations_held_out_are_predicted(policy: FittedPolicy) -> None:
    # Actions reach 100 mm; predicting their mean would be wrong by about 60 mm.
    assert policy.metrics["held_out_episodes"] == 2
    assert policy.metrics["held_out_position_mm"] < 20.0
    assert policy.metrics["held_out_gripper"] < 0.02


def test_the_task_decides(policy: FittedPolicy) -> None:
    seen = DEMONSTRATIONS[0]
    put, fetch = (policy.policy.act(seen.features[10:11], seen.state[10:11], task) for task in TASKS)
    assert np.abs(put - seen.chunks[10]).mean() < 0.02
    assert np.abs(fetch + seen.chunks[10]).mean() < 0.02


def test_an_unknown_task_is_refused(policy: FittedPolicy) -> None:
    with pytest.raises(UnknownNameError, match="task 'fetsch' is unknown; did you mean 'fetch'"):
        policy.policy.act(np.zeros((1, FEATURES), np.float32), np.zeros((1, STATE), np.float32), "fetsch")


def test_a_policy_comes_back_from_its_record_and_tensors(policy: FittedPolicy) -> None:
    record, seen = policy.policy.record, DEMONSTRATIONS[3]
    loaded = POLICIES[record.policy].load(record, policy.policy.tensors(), SPACE)
    for task in TASKS:
        given = loaded.act(seen.features[:1], seen.state[:1], task)
        assert np.array_equal(given, policy.policy.act(seen.features[:1], seen.state[:1], task))


def test_missing_tensors_are_named(policy: FittedPolicy) -> None:
    record, tensors = policy.policy.record, policy.policy.tensors()
    name = min(tensors)
    del tensors[name]
    with pytest.raises(TensorFileError, match=f"missing {name}|{name} is missing"):
        POLICIES[record.policy].load(record, tensors, SPACE)


def test_one_seed_fits_one_policy() -> None:
    first, second = fitted("mlp", held_out=0.0, steps=20), fitted("mlp", held_out=0.0, steps=20)
    again = second.policy.tensors()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.policy.tensors().items())


def test_state_is_an_input_only_if_asked_for() -> None:
    features, states = np.zeros((1, FEATURES), np.float32), np.ones((1, STATE), np.float32)
    blind, noisy = fitted("mlp", steps=20).policy, fitted("mlp", steps=20, proprioception="noisy").policy
    assert np.array_equal(blind.act(features, states, "put"), blind.act(features, -states, "put"))
    assert not np.array_equal(noisy.act(features, states, "put"), noisy.act(features, -states, "put"))


def test_nearest_neighbours_weigh_by_the_exponential_of_distance() -> None:
    policy = fitted("knn", neighbours=5, temperature=0.7).policy
    query, samples = DEMONSTRATIONS[0].features[7] + 0.05, stack(DEMONSTRATIONS[0::2], TASKS, 1)
    rows = np.concatenate([demonstration.features for demonstration in DEMONSTRATIONS])
    memory = samples.features[samples.windows[:, 0]].numpy()
    distances = np.linalg.norm((memory - query) / rows.std(axis=0), axis=1)
    nearest = np.argsort(distances)[:5]
    weights = np.exp(-distances[nearest] / 0.7)
    expected = np.tensordot(weights / weights.sum(), samples.chunks.numpy()[nearest], axes=1)
    given = policy.act(query[None].astype(np.float32), np.zeros((1, STATE), np.float32), "put")
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-5)


def test_windows_repeat_the_first_tick_before_the_start() -> None:
    samples = stack([DEMONSTRATIONS[0], DEMONSTRATIONS[1]], TASKS, 3)
    assert samples.windows[0].tolist() == [0, 0, 0]
    assert samples.windows[1].tolist() == [0, 0, 1]
    assert samples.windows[40].tolist() == [40, 40, 40]  # the second episode does not reach into the first
    assert samples.windows[79].tolist() == [77, 78, 79]


def test_ticks_whose_window_is_stale_teach_nothing() -> None:
    valid = np.ones(40, bool)
    valid[5] = False
    samples = stack([DEMONSTRATIONS[0]._replace(valid=valid)], TASKS, 3)
    assert len(samples) == 37
    assert not (samples.windows == 5).any()


def test_actions_past_the_end_teach_nothing() -> None:
    config = build(policy_kind("mlp").config, QUICK["mlp"] | {"held_out": 0.0, "steps": 5}, where="test")
    poisoned = []
    for demonstration in DEMONSTRATIONS:
        chunks = demonstration.chunks.copy()
        chunks[~demonstration.mask] = 1e6
        poisoned.append(demonstration._replace(chunks=chunks))
    clean, other = (
        fit_policy("mlp", config, d, TASKS, SPACE).policy.tensors() for d in (DEMONSTRATIONS, poisoned)
    )
    assert all(torch.equal(clean[name], other[name]) for name in clean)


def test_the_last_episodes_of_each_task_are_held_out_but_never_all() -> None:
    assert last_of_each_task(DEMONSTRATIONS, 0.2) == [16, 18, 17, 19]
    assert last_of_each_task(DEMONSTRATIONS[:2], 0.9) == []
    assert last_of_each_task(DEMONSTRATIONS, 0.0) == []


def test_given_episodes_can_be_held_out() -> None:
    config = build(policy_kind("knn").config, QUICK["knn"], where="test")
    metrics = fit_policy("knn", config, DEMONSTRATIONS, TASKS, SPACE, held_out=[0, 1, 2]).metrics
    assert metrics["held_out_episodes"] == 3


def test_a_dead_dimension_is_not_blown_up() -> None:
    scaling = Scaling(3)
    scaling.measure(torch.tensor([[0.0, 5.0, 1.0], [2.0, 5.0, 3.0]]))
    assert scaling.apply_to(torch.tensor([0.0, 5.001, 1.0])).abs().max() <= 1.0
    rows = torch.randn(50, 3)
    torch.testing.assert_close(scaling.undo(scaling.apply_to(rows)), rows)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_loads(path: Path) -> None:
    name, config = load_policy_config(path)
    assert name == path.stem
    assert config.horizon == 10


def test_a_config_that_chooses_no_policy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("window: 1\n")
    with pytest.raises(ConfigError, match=r"no key 'policy' \(possible: mlp, knn\)"):
        load_policy_config(tmp_path / "a.yaml")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="policy 'mpl' is unknown; did you mean 'mlp'"):
        policy_kind("mpl")


def test_no_episodes_are_refused() -> None:
    config = build(policy_kind("knn").config, {}, where="test")
    with pytest.raises(ConfigError, match="no episode to fit a policy to"):
        fit_policy("knn", config, [], TASKS, SPACE)
    with pytest.raises(ConfigError, match="held_out 1 is not in 0 <= held_out < 1"):
        replace(config, held_out=1.0)
