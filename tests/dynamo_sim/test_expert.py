"""The scripted demonstrator: what it plans, and that the physics holds while it works."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Sample
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.graphics import mujoco
from dynamo_sim.demonstrate import run_expert
from dynamo_sim.xarm_kitchen.expert import KitchenExpert
from dynamo_sim.xarm_kitchen.quality import Quality, measure_expert
from dynamo_sim.xarm_kitchen.starts import TASKS
from dynamo_sim.xarm_kitchen.station import KitchenStation

CONTRACT = Path(__file__).parents[2] / "config" / "robots" / "xarm_kitchen.yaml"


@pytest.fixture(scope="module")
def station(contract: Contract) -> KitchenStation:
    return KitchenStation(contract, render=False)


def plan(station: KitchenStation, task: str, seed: int) -> KitchenExpert:
    station.reset(task, seed)
    return KitchenExpert(task, station.objects(), station.tool_pose(), np.random.default_rng(seed))


def samples_of(expert: KitchenExpert) -> np.ndarray:
    """Return position and gripper at 50 Hz, shape (N, 4)."""
    times = np.arange(0.0, expert.duration_s, 0.02)
    return np.array([[*target.pose.position, target.gripper] for target in map(expert.target, times)])


@pytest.mark.parametrize("task", TASKS)
def test_the_same_generator_gives_the_same_demonstration(station: KitchenStation, task: str) -> None:
    first, second, other = (samples_of(plan(station, task, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert first.shape != other.shape or np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("task", TASKS)
def test_a_demonstration_begins_at_the_arm_and_closes_and_opens_once(
    station: KitchenStation, task: str
) -> None:
    for seed in range(20):
        expert = plan(station, task, seed)
        positions = samples_of(expert)
        np.testing.assert_allclose(positions[0, :3], station.tool_pose().position, atol=1e-9)
        assert np.flatnonzero(np.diff(positions[:, 3])).size == 2
        assert (positions[0, 3], positions[-1, 3]) == (0.0, 0.0)
        assert 8.0 < expert.duration_s < 22.0


def test_a_demonstration_moves_no_faster_than_the_contract_allows(
    station: KitchenStation, contract: Contract
) -> None:
    for seed in range(20):
        positions = samples_of(plan(station, "put_yogurt", seed))[:, :3]
        speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) / 0.02
        assert speeds.max() < contract.arm.speed_m_s
        assert (positions >= contract.arm.workspace_lower_m).all()
        assert (positions <= contract.arm.workspace_upper_m).all()


def test_some_demonstrations_go_astray_and_no_two_are_equally_long(station: KitchenStation) -> None:
    durations = [plan(station, "put_yogurt", seed).duration_s for seed in range(30)]
    assert np.std(durations) > 1.0


def test_the_end_is_held(station: KitchenStation) -> None:
    expert = plan(station, "put_yogurt", 0)
    end, later = expert.target(expert.duration_s), expert.target(expert.duration_s + 60.0)
    np.testing.assert_allclose(end.pose.position, later.pose.position, atol=1e-12)
    assert expert.finished(expert.duration_s)
    assert not expert.finished(expert.duration_s - 0.01)


def test_an_unknown_task_is_refused(station: KitchenStation) -> None:
    with pytest.raises(UnknownNameError, match="task 'open_door' is unknown"):
        KitchenExpert("open_door", station.objects(), station.tool_pose(), np.random.default_rng(0))


def check_physics(runs: list[Quality]) -> None:
    """Success alone would not show bad contact settings; see quality.py."""
    assert max(run.slip for run in runs) < 1e-3
    assert max(run.penetration for run in runs) < 3e-3
    assert np.percentile(np.concatenate([run.tracking for run in runs]), 95) < 10e-3
    assert not any(run.demonstration.stopped for run in runs)


def measure(task: str, seeds: range) -> list[Quality]:
    contract = load_contract(CONTRACT)
    station = KitchenStation(contract, render=False)
    return [measure_expert(station, contract, task, seed) for seed in seeds]


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_succeeds_and_nothing_slips_sinks_in_or_lags(task: str) -> None:
    runs = measure(task, range(1000, 1003))
    assert all(run.demonstration.outcome.success for run in runs)
    assert min(run.slip for run in runs) > 0.0  # it was carried
    check_physics(runs)


def test_a_bottle_that_is_dropped_on_the_way_is_no_success(
    station: KitchenStation, contract: Contract
) -> None:
    def drop(command: ArmCommand | None, samples: list[Sample]) -> None:
        del command, samples
        if station.yogurt_carried() and station.tool_pose().position[2] > 0.2:
            station.command_gripper(0.0)

    outcome = run_expert(station, contract, "put_yogurt", 0, on_period=drop).outcome
    assert station.objects()["yogurt"].position[2] < 0.05
    assert not outcome.success


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_expert_succeeds_95_times_in_100_at_each_task() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.starmap(measure, [(task, range(100)) for task in TASKS])
    for runs in results:
        assert sum(run.demonstration.outcome.success for run in runs) >= 95
        check_physics(runs)


def pyramidal(model: Any) -> None:
    model.opt.cone, model.opt.impratio = mujoco.mjtCone.mjCONE_PYRAMIDAL, 1.0


def soft(model: Any) -> None:
    model.geom_solref[:], model.geom_solimp[:, :2] = [0.02, 1.0], [0.9, 0.95]


def weak(model: Any) -> None:
    # Ten times as weak, the tracking stop ends the demonstration.
    model.actuator_gainprm[:7, 0] /= 8
    model.actuator_biasprm[:7, 1] /= 8


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [pyramidal, soft, weak])
def test_worse_settings_succeed_all_the_same_but_are_caught(
    contract: Contract, spoil: Callable[[Any], None]
) -> None:
    station = KitchenStation(contract, render=False)
    spoil(station._kitchen.model)
    run = measure_expert(station, contract, "put_yogurt", 1000)
    assert run.demonstration.outcome.success
    with pytest.raises(AssertionError):
        check_physics([run])
