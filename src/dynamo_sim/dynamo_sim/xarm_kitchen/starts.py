"""Where everything stands when a task begins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.ik import NOMINAL_RAD
from dynamo_sim.xarm_kitchen.scene import DOOR_YAW, HINGE, SHELF_FLOOR, SLOT, YOGURT, ZONE

FloatArray = npt.NDArray[np.float64]

PUT, FETCH = "put_yogurt", "fetch_yogurt"
TASKS = (PUT, FETCH)

ZONE_NOISE = np.array([0.04, 0.05, 0.0])  # half ranges, m
SLOT_NOISE = np.array([0.030, 0.008])  # along the shelf and across it
GAP = 0.130  # from the slot to the bottles beside it
GAP_NOISE = 0.006
SAUCE, SAUCE_NOISE = np.array([0.26, 0.24, 0.0]), np.array([0.03, 0.03, 0.0])
ARM_NOISE_RAD = 0.02


class Start(NamedTuple):
    """A start state."""

    arm: FloatArray  # (7,) rad
    slot: FloatArray  # (2,) m, in the door's frame
    bottles: dict[str, tuple[FloatArray, float]]  # name -> position of the base (3,) m, yaw rad


def draw_start(task: str, seed: int) -> Start:
    """Return the start state `seed` of `task`; the same seed gives the same state."""
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    random = np.random.default_rng([seed, TASKS.index(task)])
    slot = SLOT + random.uniform(-SLOT_NOISE, SLOT_NOISE)
    places = {
        YOGURT: in_world(slot) if task == FETCH else ZONE + random.uniform(-ZONE_NOISE, ZONE_NOISE),
        "juice": in_world([slot[0] + GAP + random.uniform(-GAP_NOISE, GAP_NOISE), slot[1]]),
        "milk": in_world([slot[0] - GAP - random.uniform(-GAP_NOISE, GAP_NOISE), slot[1]]),
        "sauce": SAUCE + random.uniform(-SAUCE_NOISE, SAUCE_NOISE),
    }
    bottles = {name: (place, float(random.uniform(-np.pi, np.pi))) for name, place in places.items()}
    arm = np.array(NOMINAL_RAD["xarm7"]) + random.uniform(-ARM_NOISE_RAD, ARM_NOISE_RAD, 7)
    return Start(arm, slot, bottles)


def in_world(slot: npt.ArrayLike) -> FloatArray:
    """Return the place (3,) m on the shelf for `slot` (2,) m in the frame of the door as it stands open."""
    x, y = np.asarray(slot, dtype=np.float64)
    c, s = np.cos(DOOR_YAW), np.sin(DOOR_YAW)
    return np.array([HINGE[0] + c * x - s * y, HINGE[1] + s * x + c * y, SHELF_FLOOR])
