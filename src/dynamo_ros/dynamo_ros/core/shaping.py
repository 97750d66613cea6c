"""Time-optimal motion of joints that start and end softly: limited velocity, acceleration and jerk (ruckig).

Each joint moves by itself. What is sampled from such a motion at the command ticks keeps the limits also by
finite differences, but for ruckig's rounding (5e-9 rad beyond a position limit was seen): these are means of
the derivatives over the ticks they span.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory

from dynamo_policies.errors import DynamoError
from dynamo_policies.sinks import Arm

FloatArray = npt.NDArray[np.float64]

# The part of its velocity limit that a joint may use outside its position limits, on its way back.
OUTSIDE_SPEED = 0.1
POSITION, VELOCITY = ControlInterface.Position, ControlInterface.Velocity
ROUNDING = 1e-9  # periods
MOVING = 1e-9  # rad/s and rad/s^2: what rounding leaves of a rest is less
# Slower jogs are none, and none looks farther ahead than this: ruckig takes no motions of hours.
SLOWEST_RAD_S = 1e-3
AHEAD_S, AHEAD_RAD = 10.0, 1.0


class ShapingError(DynamoError):
    """No motion was found."""


class JointState(NamedTuple):
    """A moment of a motion: J numbers each, rad, rad/s, rad/s^2. Lists, as ruckig takes and gives them."""

    position: list[float]
    velocity: list[float]
    acceleration: list[float]

    @property
    def moving(self) -> bool:
        """Whether it would go on by itself."""
        return any(abs(value) > MOVING for value in (*self.velocity, *self.acceleration))


def resting(position: Iterable[float]) -> JointState:
    """Return the state at rest at `position`, J rad."""
    still = [float(value) for value in position]
    return JointState(still, [0.0] * len(still), [0.0] * len(still))


class JointShaper:
    """The motions that the limits of `arm` allow, one command period at a time.

    A state from which braking ends inside the position limits leads only to such states: a motion to a rest
    inside the limits never passes both its goal and the point where braking would end. A joint that starts
    outside them comes back at a tenth of its velocity limit.
    """

    def __init__(self, arm: Arm) -> None:
        self._period_s = arm.period_ns / 1e9
        self.lower, self.upper = np.array(arm.lower_rad), np.array(arm.upper_rad)
        self.velocity = np.array(arm.velocity_rad_s)
        # The same as plain numbers: for a few joints these take half the time of arrays.
        self._limits = list(zip(arm.lower_rad, arm.upper_rad, arm.velocity_rad_s, strict=True))
        self._none, self._any = [False] * len(arm.joints), [math.inf] * len(arm.joints)
        self._solver = Ruckig(len(arm.joints))
        self._motion = Trajectory(len(arm.joints))
        self._input = InputParameter(len(arm.joints))
        self._input.synchronization = Synchronization.No
        self._input.max_acceleration = list(arm.acceleration_rad_s2)
        self._input.max_jerk = list(arm.jerk_rad_s3)

    def toward(self, state: JointState, goal: FloatArray) -> JointState:
        """Return the state one period later on the way to a rest at `goal` (J,) rad, or next to it inside."""
        inside = [
            min(max(value, low), high)
            for value, (low, high, _) in zip(goal.tolist(), self._limits, strict=True)
        ]
        return self._position_step(state, inside, self._none, self._any)

    def along(self, state: JointState, velocity: FloatArray) -> JointState:
        """Return the state one period later at up to `velocity` (J,) rad/s, stopping at the limits."""
        position = np.array(state.position)
        ahead = position + np.sign(velocity) * AHEAD_RAD + velocity * AHEAD_S
        goal = np.clip(ahead, self.lower, self.upper)
        still = (np.abs(velocity) < SLOWEST_RAD_S) | ((goal - position) * velocity <= 0.0)
        speed = np.where(still, np.inf, np.abs(velocity))
        return self._position_step(state, goal.tolist(), still.tolist(), speed.tolist())

    def braking(self, state: JointState) -> list[JointState]:
        """Return the states after each period in which all joints come to rest as soon as they can."""
        self._brake(state)
        count = math.ceil(self._motion.duration / self._period_s - ROUNDING)
        way = [self._after(i + 1) for i in range(count)]
        return [*way[:-1], resting(way[-1].position)] if way else []

    def stop_seconds(self, state: JointState) -> FloatArray:
        """Return how long each joint takes to come to rest, (J,) s."""
        self._brake(state)
        return np.array(self._motion.independent_min_durations)

    def _position_step(
        self, state: JointState, goal: list[float], still: list[bool], speed: list[float]
    ) -> JointState:
        self._start(state)
        self._input.per_dof_control_interface = [VELOCITY if one else POSITION for one in still]
        self._input.target_position = goal
        self._input.max_velocity = [
            min(most, velocity if low <= now <= high else OUTSIDE_SPEED * velocity)
            for now, (low, high, velocity), most in zip(state.position, self._limits, speed, strict=True)
        ]
        self._solve()
        return self._after(1)

    def _brake(self, state: JointState) -> None:
        self._start(state)
        self._input.per_dof_control_interface = [VELOCITY] * len(state.position)
        self._solve()

    def _start(self, state: JointState) -> None:
        self._input.current_position = state.position
        self._input.current_velocity = state.velocity
        self._input.current_acceleration = state.acceleration

    def _solve(self) -> None:
        try:
            result = self._solver.calculate(self._input, self._motion)
        except (RuckigError, ValueError) as error:  # ValueError: a result that its Python names lack
            raise ShapingError(f"ruckig failed: {error}") from error
        if result not in (Result.Working, Result.Finished):
            raise ShapingError(f"ruckig found no motion ({result.name}) at {self._input}")

    def _after(self, periods: int) -> JointState:
        return JointState(*self._motion.at_time(periods * self._period_s))


class StopBound(NamedTuple):
    """The worst stop of each joint from inside its limits, (J,)."""

    seconds: FloatArray
    distance_rad: FloatArray


def worst_stop(arm: Arm) -> StopBound:
    """Return how long and how far each joint moves at most after the decision to stop.

    The worst state is that of a joint which accelerates with all it has and is about to reach its full
    velocity. To the seconds come up to one command period until the next command and one until the driver
    has moved there.
    """
    velocity, jerk = np.array(arm.velocity_rad_s), np.array(arm.jerk_rad_s3)
    acceleration = np.minimum(np.array(arm.acceleration_rad_s2), np.sqrt(2.0 * jerk * velocity))
    start = (velocity - acceleration**2 / (2.0 * jerk)).tolist()
    state = JointState([0.0] * len(start), start, acceleration.tolist())
    shaper = JointShaper(arm)
    return StopBound(shaper.stop_seconds(state), np.array(shaper.braking(state)[-1].position))
