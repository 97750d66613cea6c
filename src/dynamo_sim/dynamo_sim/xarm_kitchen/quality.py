"""How good the physics is while the expert works: success alone would not show bad contact settings.

With MuJoCo's own contacts the tasks still succeed, while bottles slip by 6 mm and fingers sink in by 12 mm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Sample
from dynamo_ros.core.commander import ArmCommand
from dynamo_sim.demonstrate import Demonstration, run_expert
from dynamo_sim.xarm_kitchen.scene import YOGURT
from dynamo_sim.xarm_kitchen.station import KitchenStation

FloatArray = npt.NDArray[np.float64]

LIFTED_M = 0.01  # squeezed and upset on its way up, the bottle settles in the grip: that is no slip


class Quality(NamedTuple):
    """What was measured over one demonstration; lengths m."""

    demonstration: Demonstration
    slip: float  # how far the yogurt moved in the tool's frame while it was carried; 0 if it never was
    penetration: float
    tracking: FloatArray  # tool less commanded, one for each command period


def measure_expert(station: KitchenStation, contract: Contract, task: str, seed: int) -> Quality:
    """Run one demonstration on `station` and measure it."""
    tracking: list[float] = []
    held: list[FloatArray] = []
    station.reset(task, seed)
    stood = station.objects()[YOGURT].position[2]

    def watch(command: ArmCommand | None, samples: list[Sample]) -> None:
        del samples
        tracking.append(station.tracking_error_m())
        lifted = abs(station.objects()[YOGURT].position[2] - stood) > LIFTED_M
        closed = command is not None and command.target.gripper == 1.0
        if lifted and closed and station.yogurt_carried():
            held.append(station.yogurt_in_tool())

    demonstration = run_expert(station, contract, task, seed, on_period=watch)
    places = np.array(held)
    slip = float(np.linalg.norm(places - places[0], axis=1).max()) if held else 0.0
    return Quality(demonstration, slip, station.penetration_m(), np.array(tracking))
