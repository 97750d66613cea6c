"""The simulated stations by the name of their contract, and who demonstrates on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Sample, Target
from dynamo_ros.core.station import Station
from dynamo_sim.allegro_manipulation.expert import AllegroExpert
from dynamo_sim.allegro_manipulation.station import AllegroStation
from dynamo_sim.reading import JointReading
from dynamo_sim.xarm_kitchen.expert import KitchenExpert
from dynamo_sim.xarm_kitchen.station import KitchenStation


class SimulatedStation(Station, Protocol):
    """A station whose node speaks for the drivers of arm, cameras and what the arm carries."""

    def follow(
        self,
        names: tuple[str, ...],
        positions: npt.ArrayLike,
        times_s: npt.ArrayLike,
        *,
        start_ns: int | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> None:
        """Give the arm a trajectory as a message has it; see JointTrajectoryController.accept."""

    def reading(self, sample: Sample) -> JointReading:
        """Return what the driver says in the message that holds `sample`, one of joints."""

    def tool_pose(self) -> Pose:
        """Return the tool's true pose."""

    def camera_fovy_deg(self, name: str) -> float:
        """Return the vertical field of view of camera `name`, degrees."""


class Expert(Protocol):
    """One demonstration, planned at once."""

    def target(self, elapsed_s: float) -> Target:
        """Return where everything should be `elapsed_s` seconds after the start; the end is held."""

    def finished(self, elapsed_s: float) -> bool:
        """Return whether the demonstration is over `elapsed_s` seconds after its start."""


class StationKind(NamedTuple):
    """What belongs to one station."""

    station: Callable[[Contract], SimulatedStation]
    # (contract, task, true poses as `objects` of the station has them, tool's pose, random numbers)
    expert: Callable[[Contract, str, dict[str, Pose], Pose, np.random.Generator], Expert]
    objects: tuple[
        str, ...
    ]  # the order of /station/objects, which a PoseArray can't tell; `tool` is the last


def _kitchen_expert(
    _contract: Contract, task: str, objects: dict[str, Pose], tool: Pose, random: np.random.Generator
) -> KitchenExpert:
    return KitchenExpert(task, objects, tool, random)


def _allegro_expert(
    contract: Contract, task: str, objects: dict[str, Pose], tool: Pose, random: np.random.Generator
) -> AllegroExpert:
    kind = contract.need_hand("the demonstrator of the Allegro station").kind
    return AllegroExpert(task, objects, tool, random, kind=kind)


STATIONS: dict[str, StationKind] = {
    "xarm_kitchen": StationKind(
        KitchenStation, _kitchen_expert, ("yogurt", "milk", "juice", "sauce", "slot", "zone", "tool")
    ),
    "allegro_manipulation": StationKind(AllegroStation, _allegro_expert, ("sponge", "tool")),
}


def station_kind(name: str) -> StationKind:
    """Return the kind of the station called `name`, a contract's name; UnknownNameError if there is none."""
    if name not in STATIONS:
        raise UnknownNameError("station", name, STATIONS)
    return STATIONS[name]
