"""A scripted demonstrator of the kitchen's tasks that errs, hesitates and trembles a little, as people do.

A policy that only ever saw perfect motions does not know how to come back from its own errors; so a part of
the demonstrations approaches beside the bottle and corrects that, and no two of them are equally fast.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Target
from dynamo_sim.xarm_kitchen.starts import FETCH, PUT, TASKS

FloatArray = npt.NDArray[np.float64]

PLAN_HZ = 10.0
# Tool down, turned 0.7 rad about the vertical: the fingers then pass between shelf and bottles.
TOOL_DOWN = Rotation.from_quat([np.cos(0.35), np.sin(0.35), 0.0, 0.0])


class Waypoint(NamedTuple):
    """A place above an object, how to go there, and what the hand does on arrival."""

    over: str  # "pick" or "place"
    height: float  # m, tool above the base of what is picked, or above where it goes
    speed: float  # m/s on the way, on average
    noise: float  # m, standard deviation along each axis
    tremor: float  # m, standard deviation of the hand's tremor on the way
    gripper: float  # 0 open, 1 closed, from the arrival on
    wait_s: float = 0.0  # after arrival


GRASP = 0.098  # m, where the fingers hold the bottle, above its base
WAYPOINTS = (
    #        over     height         speed  noise   tremor gripper wait
    Waypoint("pick", 0.245, 0.16, 0.012, 0.0050, 0.0),
    Waypoint("pick", 0.185, 0.10, 0.005, 0.0030, 0.0),
    Waypoint("pick", GRASP, 0.055, 0.0015, 0.0012, 1.0, 0.8),  # close
    Waypoint("pick", 0.250, 0.11, 0.008, 0.0015, 1.0),
    Waypoint("place", 0.235, 0.17, 0.010, 0.0045, 1.0),
    Waypoint("place", 0.145, 0.09, 0.003, 0.0015, 1.0),
    Waypoint("place", GRASP + 0.001, 0.05, 0.0015, 0.0010, 0.0, 0.6),  # open
    Waypoint("place", 0.230, 0.11, 0.010, 0.0020, 0.0, 0.8),
)
PLACES = {PUT: {"pick": "yogurt", "place": "slot"}, FETCH: {"pick": "yogurt", "place": "zone"}}
ASTRAY_BEFORE = 1  # the waypoint that a wrong approach comes before, at the height of that one

SPEED_SPREAD = 0.15  # of the logarithm, an episode's own tempo
ASTRAY_SHARE, ASTRAY_M = 0.30, (0.015, 0.030)
PAUSE_SHARE, PAUSE_S = 0.12, (0.1, 0.3)
TREMOR_MEMORY = 0.75  # from one step of the plan to the next
TREMOR_RAD, TREMOR_RAD_M = np.deg2rad(0.2), np.deg2rad(120.0)  # the turn's: at least, and for each metre


class KitchenExpert:
    """One demonstration, planned at once: targets of tool and gripper over time.

    `objects` are true poses as `KitchenStation.objects` has them; `start_pose` is where the tool is. The same
    state of `rng` gives the same demonstration.
    """

    def __init__(
        self, task: str, objects: dict[str, Pose], start_pose: Pose, rng: np.random.Generator
    ) -> None:
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
        self._rng = rng
        self._places = {over: objects[name].position for over, name in PLACES[task].items()}
        self._tempo = float(np.exp(rng.normal(0.0, SPEED_SPREAD)))
        self._positions = [np.asarray(start_pose.position, dtype=np.float64)]
        self._tremors, self._grippers = [0.0], [0.0]
        for waypoint in self._with_errors():
            self._go(waypoint)
        self._finish(Rotation.from_quat(start_pose.quaternion))

    @property
    def duration_s(self) -> float:
        """How long the demonstration takes, s."""
        return (len(self._grippers) - 1) / PLAN_HZ

    def finished(self, elapsed_s: float) -> bool:
        """Return whether the demonstration is over `elapsed_s` seconds after its start."""
        return elapsed_s >= self.duration_s

    def target(self, elapsed_s: float) -> Target:
        """Return where tool and gripper should be `elapsed_s` seconds after the start; the end is held."""
        at = float(np.clip(elapsed_s * PLAN_HZ, 0.0, len(self._grippers) - 1))
        low = min(int(at), len(self._grippers) - 2)
        share = at - low
        position = (1 - share) * self._path[low] + share * self._path[low + 1]
        turn = self._turns[low] * Rotation.from_rotvec(
            share * (self._turns[low].inv() * self._turns[low + 1]).as_rotvec()
        )
        gripper = self._grippers[low + 1] if share >= 1.0 else self._grippers[low]
        return Target(Pose(position, turn.as_quat()), gripper)

    def _with_errors(self) -> list[Waypoint]:
        """Return the waypoints of this episode: some go astray first, some wait longer."""
        waypoints = list(WAYPOINTS)
        self._astray = np.zeros(3)
        if self._rng.random() < ASTRAY_SHARE:
            angle, distance = self._rng.uniform(0.0, 2 * np.pi), self._rng.uniform(*ASTRAY_M)
            self._astray = distance * np.array([np.cos(angle), np.sin(angle), 0.0])
            waypoints.insert(ASTRAY_BEFORE, waypoints[ASTRAY_BEFORE]._replace(over="astray", wait_s=0.2))
        pauses = self._rng.random(len(waypoints)) < PAUSE_SHARE
        return [
            waypoint._replace(wait_s=waypoint.wait_s + float(pause * self._rng.uniform(*PAUSE_S)))
            for waypoint, pause in zip(waypoints, pauses, strict=True)
        ]

    def _go(self, waypoint: Waypoint) -> None:
        """Append the way to `waypoint` and the wait there."""
        start = self._positions[-1]
        end = self._place(waypoint) + self._rng.normal(0.0, waypoint.noise, 3)
        seconds = float(np.linalg.norm(end - start)) / (waypoint.speed * self._tempo)
        steps = max(2, round(seconds * PLAN_HZ))
        for s in np.linspace(0.0, 1.0, steps + 1)[1:]:
            self._positions.append(start + s * s * (3 - 2 * s) * (end - start))
        self._tremors += [waypoint.tremor] * steps
        self._grippers += [self._grippers[-1]] * (steps - 1) + [waypoint.gripper]
        waits = round(waypoint.wait_s * PLAN_HZ)
        self._positions += [end] * waits
        self._tremors += [min(waypoint.tremor, 0.001)] * waits
        self._grippers += [waypoint.gripper] * waits

    def _place(self, waypoint: Waypoint) -> FloatArray:
        astray = waypoint.over == "astray"
        base = self._places["pick"] + self._astray if astray else self._places[waypoint.over]
        above: FloatArray = base + np.array([0.0, 0.0, waypoint.height])
        return above

    def _finish(self, start: Rotation) -> None:
        """Add the hand's tremor to the path; turn from the start's orientation to the tool-down one."""
        count = len(self._positions)
        size = np.array(self._tremors)[:, None]
        tremor = correlated(self._rng, count)
        self._path = np.array(self._positions) + size * tremor[:, :3]
        level = np.clip(np.arange(count) / 10.0, 0.0, 1.0)[:, None]  # within a second
        away = (TOOL_DOWN.inv() * start).as_rotvec()
        wobble = (TREMOR_RAD + TREMOR_RAD_M * size) * tremor[:, 3:] * level
        self._turns = [TOOL_DOWN * Rotation.from_rotvec(turn) for turn in (1 - level) * away + wobble]


def correlated(rng: np.random.Generator, count: int) -> FloatArray:
    """Return an Ornstein-Uhlenbeck process from 0, shape (count, 6); its standard deviation tends to 1."""
    values = np.zeros((count, 6))
    fresh = np.sqrt(1 - TREMOR_MEMORY**2) * rng.normal(size=(count, 6))
    for i in range(1, count):
        values[i] = TREMOR_MEMORY * values[i - 1] + fresh[i]
    return values
