"""Where everything is when a task begins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.allegro import INDEX_FIRST, THUMB_FIRST
from dynamo_ros.core.ik import NOMINAL_RAD
from dynamo_sim.allegro_manipulation.scene import SPONGE_HALF

FloatArray = npt.NDArray[np.float64]

PICK = "pick_sponge"
TASKS = (PICK,)
# The V4 driver sends the hand there when its position controller is activated; thumb first.
INITIAL_HAND_RAD: FloatArray = np.array([0.7, 0.1, *[0.0] * 14])
PLACE = np.array([0.42, 0.0])
PLACE_NOISE = np.array([0.05, 0.06])  # half ranges, m
YAW, YAW_NOISE = 0.7, 0.25  # rad: the fingers' direction in the arm's nominal pose
ARM_NOISE_RAD = 0.02


class Start(NamedTuple):
    """A start state."""

    arm: FloatArray  # (7,) rad
    sponge: FloatArray  # (3,) m
    yaw: float  # rad, of the direction across the sponge


def draw_start(task: str, seed: int) -> Start:
    """Return the start state `seed` of `task`; the same seed gives the same state."""
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    random = np.random.default_rng([seed, TASKS.index(task)])
    x, y = PLACE + random.uniform(-PLACE_NOISE, PLACE_NOISE)
    yaw = YAW + float(random.uniform(-YAW_NOISE, YAW_NOISE))
    arm = np.array(NOMINAL_RAD["xarm7"]) + random.uniform(-ARM_NOISE_RAD, ARM_NOISE_RAD, 7)
    return Start(arm, np.array([x, y, SPONGE_HALF[2]]), yaw)


def initial_hand(kind: str) -> FloatArray:
    """Return the hand's first posture (16,) rad in the order of a driver of this kind."""
    if kind == "allegro_v4":
        return INITIAL_HAND_RAD.copy()
    index_first: FloatArray = np.zeros(16)
    index_first[list(THUMB_FIRST)] = INITIAL_HAND_RAD
    return index_first[list(INDEX_FIRST)]
