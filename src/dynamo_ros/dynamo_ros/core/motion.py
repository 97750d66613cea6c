"""The commanded motion of the arm: soft in its joints, and at all times able to brake within all limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose
from dynamo_policies.quaternions import from_matrix
from dynamo_ros.core.limiter import Limiter
from dynamo_ros.core.shaping import JointShaper, JointState, ShapingError, resting

FloatArray = npt.NDArray[np.float64]

ROUNDING_RAD = 1e-9


class _Moment(NamedTuple):
    """Where the commanded joints are, and how they would come to rest from there."""

    state: JointState
    braking: list[JointState]  # after each further period
    way: FloatArray  # (1 + N, J) rad: the positions of both
    pose: Pose | None  # the tool's, where it is known

    def braked(self) -> _Moment:
        """Return the moment a period later, if the joints brake."""
        return _Moment(self.braking[0], self.braking[1:], self.way[1:], None) if self.braking else self


class Motion:
    """Moves the commanded joints, one command period with each call.

    A step is taken only if the joints could brake after it and the whole way, at each command until they
    rest, kept the limits of positions, workspace, speed and turning. Otherwise they brake instead, on the way
    that was checked the period before. So the limits hold whatever is asked for.

    The limits of joint velocity, acceleration and jerk are those of `JointShaper`: they hold for the first,
    second and third difference of consecutive positions divided by the period, its square and its cube.
    """

    def __init__(self, contract: Contract) -> None:
        self._period_s = contract.arm.period_ns / 1e9
        self._limiter, self._shaper = Limiter(contract), JointShaper(contract.arm)
        self._chain, self._tool_offset_m = chain(contract.kinematics), contract.tool_offset_m
        self._lower, self._upper = self._shaper.lower, self._shaper.upper
        self.start(np.zeros(len(contract.arm.joints)))

    @property
    def joints(self) -> FloatArray:
        """The commanded joints, (J,) rad."""
        return np.array(self._now.way[0])

    @property
    def braking(self) -> FloatArray:
        """The joints after each further period if they brake from now on, (N, J) rad; at rest N is 0."""
        return self._now.way[1:]

    @property
    def moving(self) -> bool:
        """Whether the joints are not at rest."""
        return self._now.state.moving

    @property
    def rest(self) -> FloatArray:
        """Where the joints would come to rest, (J,) rad."""
        return np.array(self._now.way[-1])

    @property
    def pose(self) -> Pose:
        """The tool pose of the commanded joints."""
        return self.forward(self.joints) if self._now.pose is None else self._now.pose

    def forward(self, joints: npt.ArrayLike) -> Pose:
        """Return the tool pose of `joints` (J,) rad."""
        position, rotation = self._chain.forward(joints, tool_offset_m=self._tool_offset_m)
        return Pose(position, from_matrix(rotation))

    def start(self, joints: FloatArray) -> None:
        """Be at rest at `joints` (J,) rad."""
        self._now = self._before = _Moment(resting(joints), [], np.array(joints, np.float64)[None], None)

    def halt(self) -> None:
        """Be at rest at the commanded joints: nothing was sent for so long that the arm has stopped there."""
        self.start(self.joints)

    def coast(self, periods: int) -> None:
        """Be where the joints are after braking for some periods, for which nothing else was sent."""
        for _ in range(min(periods, len(self._now.braking))):
            self._now = self._now.braked()

    def take_back(self) -> None:
        """Be where the joints were before the last step, which was not sent."""
        self._now = self._before

    def toward(self, goal: FloatArray) -> tuple[str, ...]:
        """Move towards `goal` (J,) rad; return the limits that made it brake instead."""
        return self._take(partial(self._shaper.toward, self._now.state, goal))

    def along(self, velocity: FloatArray) -> tuple[str, ...]:
        """Move at `velocity` (J,) rad/s as the limits allow, in its direction; return those that apply."""
        possible = velocity / max(1.0, float((np.abs(velocity) / self._shaper.velocity).max()))
        ahead = self.forward(self.joints + possible * self._period_s)
        share, slow = self._limiter.share(self.forward(self.joints), ahead, dt_s=self._period_s)
        return *slow, *self._take(partial(self._shaper.along, self._now.state, share * possible))

    def brake(self) -> None:
        """Come to rest as soon as the joints can."""
        self._before, self._now = self._now, self._now.braked()

    def _take(self, step: Callable[[], JointState]) -> tuple[str, ...]:
        try:
            wanted = step()
            braking = self._shaper.braking(wanted)
        except ShapingError:  # ruckig fails now and then at the border between two kinds of profile
            self.brake()
            return ("shaping",)
        way = np.array([state.position for state in (self._now.state, wanted, *braking)])
        positions, rotations = self._chain.forward(way, tool_offset_m=self._tool_offset_m)
        exceeded = self._exceeded(way, positions, rotations)
        if exceeded:
            self.brake()
        else:
            pose = Pose(positions[1], from_matrix(rotations[1]))
            self._before, self._now = self._now, _Moment(wanted, braking, way[1:], pose)
        return exceeded

    def _exceeded(self, way: FloatArray, positions: FloatArray, rotations: FloatArray) -> tuple[str, ...]:
        """Return the limits that are broken on a way of joints (N, J) one period apart, from the first on.

        `positions` (N, 3) m and `rotations` (N, 3, 3) are the tool's.
        """
        lower, upper = np.minimum(self._lower, way[0]), np.maximum(self._upper, way[0])
        outside = ((way < lower - ROUNDING_RAD) | (way > upper + ROUNDING_RAD)).any()
        broken = self._limiter.exceeded(positions, rotations, dt_s=self._period_s)
        return *(("position",) if outside else ()), *broken
