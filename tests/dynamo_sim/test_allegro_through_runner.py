"""The scripted expert in a policy's place: actions of tool and hand, as a bundle would put them out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from dynamo_policies.actions import ActionSpace, action_space
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.decode import FrameSettings
from dynamo_ros.core.rollout import rollout
from dynamo_ros.core.runner import Runner
from dynamo_sim.allegro_manipulation.expert import AllegroExpert
from dynamo_sim.allegro_manipulation.station import AllegroStation
from policy_fixtures import MeanColour

ALLEGRO = load_contract(Path(__file__).parents[2] / "config" / "robots" / "allegro_manipulation.yaml")
ANCHOR = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])  # absolute actions do not depend on it


class ExpertPolicy:
    """Knows the station, and says what the expert is going to do in the next ten periods: 22 numbers each."""

    def __init__(self, station: AllegroStation, space: ActionSpace) -> None:
        self.window, self._station, self._space = 1, station, space
        self.chunks: list[npt.NDArray[np.float32]] = []
        self.reset()

    def reset(self) -> None:
        self._expert: AllegroExpert | None = None

    def act(self, _features: object, _state: object, task: str) -> npt.NDArray[np.float32]:
        if self._expert is None:
            random = np.random.default_rng([1, 1])
            self._expert = AllegroExpert(task, self._station.objects(), self._station.tool_pose(), random)
            self._begun_ns = self._station.time_ns
        begun_s = (self._station.time_ns - self._begun_ns) / 1e9
        targets = [self._expert.target(begun_s + k * ALLEGRO.period_ns / 1e9) for k in range(1, 11)]
        chunk = [
            self._space.encode(*pose, gripper, hand, anchor_position=ANCHOR[0], anchor_quaternion=ANCHOR[1])
            for pose, gripper, hand in targets
        ]
        self.chunks.append(np.stack(chunk))
        return self.chunks[-1]


@dataclass
class ExpertBundle:
    policy: ExpertPolicy
    actions: ActionSpace
    contract: Contract = ALLEGRO
    tasks: tuple[str, ...] = ("pick_sponge",)
    frames: FrameSettings = field(default_factory=lambda: FrameSettings(size=16))
    embedder: MeanColour = field(default_factory=MeanColour)
    novelty: None = None


@pytest.mark.slow
def test_actions_of_tool_and_hand_pick_the_sponge_up() -> None:
    station, space = AllegroStation(ALLEGRO), action_space(ALLEGRO, relative=False)
    policy = ExpertPolicy(station, space)
    runner = Runner(ExpertBundle(policy, space), clock_ns=time.perf_counter_ns)
    done = rollout(station, runner, "pick_sponge", 3, frames=FrameSettings(size=16))
    station.close()
    assert done.success, done.reason
    assert policy.chunks[0].shape == (10, 22)
    assert done.stale == 0
