"""A scripted demonstrator that picks the sponge up between thumb and fingers, with a person's errors.

It goes above the sponge, down, closes the hand and lifts. As in the kitchen no two demonstrations are equally
fast, the hand trembles, and a part of them goes astray first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.allegro import HOME_RAD, INDEX_FIRST, THUMB_FIRST, finger_slice, reach
from dynamo_sim.allegro_manipulation.scene import SPONGE, SPONGE_HALF
from dynamo_sim.allegro_manipulation.starts import TASKS
from dynamo_sim.xarm_kitchen.expert import correlated

FloatArray = npt.NDArray[np.float64]

PLAN_HZ = 10.0
ORDERS = {"allegro_v4": THUMB_FIRST, "allegro_v5": INDEX_FIRST, "allegro_dime": INDEX_FIRST}
# Where the thumb's tip goes, m in palm_link: behind the sponge, and where it would be without the sponge.
THUMB_OPEN, THUMB_CLOSED = (0.112, 0.008, -0.054), (0.114, 0.004, 0.000)
# The long fingers' joints: stretched over the sponge, and bent further than the sponge lets them.
FINGER_OPEN, FINGER_CLOSED = (0.0, 0.72, 0.25, 0.20), (0.0, 1.42, 0.30, 0.25)


class Waypoint(NamedTuple):
    """A height of the tool above the middle of where the sponge was, and what the hand does on arrival."""

    height: float  # m
    speed: float  # m/s on the way, on average
    noise: float  # m, standard deviation along each axis
    tremor: float  # m, standard deviation of the arm's tremor on the way
    grasp: float  # 0 open to 1 closed, from the arrival on
    wait_s: float = 0.0  # after arrival


WAYPOINTS = (
    #        height  speed  noise   tremor  grasp  wait
    Waypoint(0.130, 0.14, 0.012, 0.0040, 0.0),
    Waypoint(0.070, 0.09, 0.004, 0.0020, 0.0),
    Waypoint(0.010, 0.05, 0.0015, 0.0010, 1.0, 1.2),  # close
    Waypoint(0.080, 0.06, 0.004, 0.0010, 1.0),
    Waypoint(0.200, 0.10, 0.010, 0.0020, 1.0, 1.5),
)
ASTRAY_BEFORE = 1
CLOSING_S = 0.9
SPEED_SPREAD = 0.15  # of the logarithm, an episode's own tempo
ASTRAY_SHARE, ASTRAY_M = 0.30, (0.015, 0.030)
YAW_NOISE = 0.05  # rad, of the hand over the sponge
TREMOR_RAD, HAND_TREMOR_RAD = np.deg2rad(0.2), 0.01


class AllegroExpert:
    """One demonstration, planned at once: targets of tool and hand over time.

    `objects` are true poses as `AllegroStation.objects` has them; `start_pose` is where the tool is, `kind`
    the hand's in the contract. The same state of `rng` gives the same demonstration.
    """

    def __init__(
        self,
        task: str,
        objects: dict[str, Pose],
        start_pose: Pose,
        rng: np.random.Generator,
        *,
        kind: str = "allegro_v4",
    ) -> None:
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
        self._rng, self._order = rng, list(ORDERS[kind])
        self._sponge = objects[SPONGE]
        self._tempo = float(np.exp(rng.normal(0.0, SPEED_SPREAD)))
        self._positions = [np.asarray(start_pose.position, dtype=np.float64)]
        self._tremors, self._grasps = [0.0], [0.0]
        self._go_astray()
        for waypoint in WAYPOINTS[ASTRAY_BEFORE:]:
            self._go(waypoint, np.zeros(3))
        self._finish(Rotation.from_quat(start_pose.quaternion))

    @property
    def duration_s(self) -> float:
        """How long the demonstration takes, s."""
        return (len(self._grasps) - 1) / PLAN_HZ

    def finished(self, elapsed_s: float) -> bool:
        """Return whether the demonstration is over `elapsed_s` seconds after its start."""
        return elapsed_s >= self.duration_s

    def target(self, elapsed_s: float) -> Target:
        """Return where tool and hand should be `elapsed_s` seconds after the start; the end is held."""
        at = float(np.clip(elapsed_s * PLAN_HZ, 0.0, len(self._grasps) - 1))
        low = min(int(at), len(self._grasps) - 2)
        share = at - low
        position = (1 - share) * self._path[low] + share * self._path[low + 1]
        hand = (1 - share) * self._hands[low] + share * self._hands[low + 1]
        turn = self._turns[low] * Rotation.from_rotvec(
            share * (self._turns[low].inv() * self._turns[low + 1]).as_rotvec()
        )
        return Target(Pose(position, turn.as_quat()), 0.0, hand[self._order])

    def _go_astray(self) -> None:
        """Go to the first waypoint; in some episodes beside it, and notice that lower down."""
        astray = np.zeros(3)
        if self._rng.random() < ASTRAY_SHARE:
            angle, distance = self._rng.uniform(0.0, 2 * np.pi), self._rng.uniform(*ASTRAY_M)
            astray = distance * np.array([np.cos(angle), np.sin(angle), 0.0])
        self._go(WAYPOINTS[0], astray)

    def _go(self, waypoint: Waypoint, beside: FloatArray) -> None:
        """Append the way to `waypoint` and the wait there."""
        start, middle = self._positions[-1], self._sponge.position
        end = middle + beside + [0.0, 0.0, waypoint.height] + self._rng.normal(0.0, waypoint.noise, 3)
        seconds = float(np.linalg.norm(end - start)) / (waypoint.speed * self._tempo)
        steps, waits = max(2, round(seconds * PLAN_HZ)), round(waypoint.wait_s * PLAN_HZ)
        for s in np.linspace(0.0, 1.0, steps + 1)[1:]:
            self._positions.append(start + s * s * (3 - 2 * s) * (end - start))
        self._positions += [end] * waits
        self._tremors += [waypoint.tremor] * steps + [min(waypoint.tremor, 0.001)] * waits
        closing = np.clip(np.arange(1, waits + 1) / (CLOSING_S * PLAN_HZ), 0.0, 1.0)
        before = self._grasps[-1]
        self._grasps += [before] * steps + (before + closing * (waypoint.grasp - before)).tolist()

    def _finish(self, start: Rotation) -> None:
        """Add tremor to the path; turn over the sponge within a second; spread the fingers meanwhile."""
        count = len(self._positions)
        size, tremor = np.array(self._tremors)[:, None], correlated(self._rng, count)
        self._path = np.array(self._positions) + size * tremor[:, :3]
        over = _over(self._sponge) * Rotation.from_euler("z", self._rng.normal(0.0, YAW_NOISE))
        level = np.clip(np.arange(count) / PLAN_HZ, 0.0, 1.0)[:, None]
        away = (over.inv() * start).as_rotvec()
        self._turns = [
            over * Rotation.from_rotvec(turn) for turn in (1 - level) * away + TREMOR_RAD * tremor[:, 3:]
        ]
        grasp = np.array(self._grasps)[:, None]
        joints = (1 - grasp) * posture(closed=False) + grasp * posture(closed=True)
        wobble = np.repeat(tremor, 3, axis=1)[:, :16] * HAND_TREMOR_RAD
        self._hands = joints + wobble * level


def posture(*, closed: bool) -> FloatArray:
    """Return the hand's joints (16,) rad, index first."""
    joints = np.tile(FINGER_CLOSED if closed else FINGER_OPEN, 4)
    thumb = finger_slice("thumb")
    joints[thumb] = reach("thumb", THUMB_CLOSED if closed else THUMB_OPEN, HOME_RAD[thumb])
    return joints


def _over(sponge: Pose) -> Rotation:
    """Return the tool's orientation, palm down, with the fingers' direction (its x) across the sponge."""
    across = Rotation.from_quat(sponge.quaternion).apply([1.0, 0.0, 0.0])
    yaw = float(np.arctan2(across[1], across[0]))
    return Rotation.from_euler("z", yaw) * Rotation.from_euler("x", np.pi)


GRASP_HEIGHT_M = SPONGE_HALF[2] + WAYPOINTS[2].height  # of the tool above the table
