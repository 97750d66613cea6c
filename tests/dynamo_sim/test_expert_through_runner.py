"""The scripted expert in a policy's place: runner and commander must not spoil good chunks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_ros.core.rollout import rollout
from dynamo_ros.core.runner import Runner
from dynamo_sim.xarm_kitchen.expert import KitchenExpert
from dynamo_sim.xarm_kitchen.station import KitchenStation
from policy_fixtures import Absolute, MeanColour

SECOND = 1_000_000_000


class ExpertPolicy:
    """Knows the station, and says what the expert is going to do in the next ten periods."""

    def __init__(self, station: KitchenStation, contract: Contract) -> None:
        self.window, self._station, self._contract = 1, station, contract
        self.reset()

    def reset(self) -> None:
        self._expert: KitchenExpert | None = None

    def act(self, _features: object, _state: object, task: str) -> npt.NDArray[np.float64]:
        period_ns = self._contract.period_ns
        tick_ns = (self._station.time_ns - self._contract.settle_ns) // period_ns * period_ns
        if self._expert is None:
            random = np.random.default_rng([1, 1])
            self._expert = KitchenExpert(task, self._station.objects(), self._station.tool_pose(), random)
            self._begun_ns = tick_ns
        times = [(tick_ns - self._begun_ns + k * period_ns) / SECOND for k in range(1, 11)]
        targets = [self._expert.target(elapsed_s) for elapsed_s in times]
        return np.array([[*pose.position, *pose.quaternion, gripper] for pose, gripper, _ in targets])


@dataclass
class ExpertBundle:
    policy: ExpertPolicy
    contract: Contract
    tasks: tuple[str, ...]
    frames: FrameSettings = field(default_factory=lambda: FrameSettings(size=16))
    embedder: MeanColour = field(default_factory=MeanColour)
    actions: Absolute = field(default_factory=Absolute)
    novelty: None = None


@pytest.mark.slow
@pytest.mark.parametrize("latency_ms", [0, 80])
def test_experts_chunks_succeed_through_the_runner(contract: Contract, latency_ms: int) -> None:
    station = KitchenStation(contract)
    bundle = ExpertBundle(ExpertPolicy(station, contract), contract, tuple(contract.tasks))
    runner = Runner(bundle, clock_ns=time.perf_counter_ns)
    results = [
        rollout(station, runner, task, seed, frames=bundle.frames, latency_ns=latency_ms * 1_000_000)
        for task in contract.tasks
        for seed in (0, 1)
    ]
    station.close()
    assert [result.reason for result in results if not result.success] == []
    assert all(result.stale == 0 for result in results)
