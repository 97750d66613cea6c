"""Whether a task is done: the yogurt upright, in place, still and let go, for half a second."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_ros.core.station import StationOutcome
from dynamo_sim.xarm_kitchen.scene import BOTTLES, SHELF_FLOOR, SHELF_Y, YOGURT, ZONE, ZONE_HALF
from dynamo_sim.xarm_kitchen.starts import PUT

FloatArray = npt.NDArray[np.float64]

HELD_S = 0.5
UPRIGHT_RAD, FALLEN_RAD = np.deg2rad(10.0), np.deg2rad(50.0)
STILL_M_S, STILL_RAD_S = 0.02, 0.2
LEVEL_M = 0.008  # how far the base may be from the surface that it should stand on
BESIDE_SLOT_M = 0.06  # along the shelf
LOST_M = -0.05  # below the counter's top


class Situation(NamedTuple):
    """What the judge looks at."""

    position: FloatArray  # (3,) m, of the yogurt's base
    in_door: FloatArray  # (3,) m, the same in the door's frame
    slot: FloatArray  # (2,) m, in the door's frame
    tilt_rad: float
    speed_m_s: float
    turn_rad_s: float
    touched: bool  # by any part of the robot


class Judge:
    """Follows one rollout and remembers since when the goal, or a failure, has held."""

    def __init__(self, task: str, *, time_limit_s: float, now_ns: int) -> None:
        self._task, self._limit_s, self._start_ns = task, time_limit_s, now_ns
        self._since_ns: dict[str, int] = {}
        self._reason, self._success = "", False
        self._now_ns = now_ns

    def look(self, situation: Situation, now_ns: int) -> None:
        """Judge the `situation` at `now_ns`; once done, the verdict stays."""
        if self._reason:
            return
        self._now_ns = now_ns
        place = "fridge door" if self._task == PUT else "zone on the counter"
        if self._lasts("goal", self._reached(situation)):
            self._success, self._reason = True, f"the yogurt stands in the {place}"
        elif self._lasts("fallen", situation.tilt_rad > FALLEN_RAD and not situation.touched):
            self._reason = "the yogurt fell over"
        elif situation.position[2] < LOST_M:
            self._reason = "the yogurt fell off the counter"
        elif self._elapsed_s() >= self._limit_s:
            self._reason = f"time limit of {self._limit_s:g} s"

    def outcome(self) -> StationOutcome:
        """Return the verdict so far."""
        return StationOutcome(self._task, self._success, bool(self._reason), self._reason, self._elapsed_s())

    def _elapsed_s(self) -> float:
        return (self._now_ns - self._start_ns) / 1e9

    def _lasts(self, what: str, holds: bool) -> bool:
        if not holds:
            self._since_ns.pop(what, None)
            return False
        return self._now_ns - self._since_ns.setdefault(what, self._now_ns) >= HELD_S * 1e9

    def _reached(self, situation: Situation) -> bool:
        still = situation.speed_m_s < STILL_M_S and situation.turn_rad_s < STILL_RAD_S
        in_place = in_door if self._task == PUT else in_zone
        return still and situation.tilt_rad < UPRIGHT_RAD and not situation.touched and in_place(situation)


def in_door(situation: Situation) -> bool:
    """Return whether the yogurt stands on the door's shelf, in the gap between the other bottles."""
    x, y, z = situation.in_door
    radius = BOTTLES[YOGURT].radius
    inside = SHELF_Y[0] + radius - 0.005 < y < SHELF_Y[1] - radius + 0.005
    return bool(inside and abs(x - situation.slot[0]) < BESIDE_SLOT_M and abs(z - SHELF_FLOOR) < LEVEL_M)


def in_zone(situation: Situation) -> bool:
    """Return whether the yogurt stands on the counter with its middle inside the zone."""
    inside = np.abs(situation.position[:2] - ZONE[:2]) < ZONE_HALF
    return bool(inside.all() and abs(situation.position[2] - ZONE[2]) < LEVEL_M)
