"""The rules of the drivers' controllers: JointTrajectoryController's and the xArm gripper's.

Sources: ros2_controllers and xarm_ros2 (xarm_driver), branches jazzy. docs/drivers.md names the versions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError

FloatArray = npt.NDArray[np.float64]

OPEN_PULSE = 850.0
CLOSED_RAD = 0.85
PULSES_PER_RAD = 1000.0
GRIPPER_SPEED = 1000.0  # pulses/s: the full stroke takes 0.85 s


class RejectedError(DynamoError):
    """A controller rejected a command; what it did before goes on."""


class JointTrajectoryController:
    """Follows the newest trajectory by linear interpolation and holds its end.

    A new trajectory replaces the old one and is entered from the desired state. The real controller does the
    same only with `interpolate_from_desired_state: true`, which our controller settings ask for: entered from
    the measured state, each of a stream of small steps starts from where the arm lags, and lags all the more.
    """

    def __init__(self, joints: Sequence[str], *, interpolate_from_desired_state: bool = True) -> None:
        self._joints = tuple(joints)
        self._from_desired = interpolate_from_desired_state
        self.reset(np.zeros(len(self._joints)))

    def reset(self, positions: npt.ArrayLike) -> None:
        """Forget any trajectory and hold `positions`, (J,) rad."""
        self._times_ns = np.zeros(1)
        self._positions = np.array(positions, dtype=np.float64).reshape(1, len(self._joints))

    def desired(self, now_ns: int) -> FloatArray:
        """Return the positions (J,) rad that the arm should have at `now_ns`."""
        times = self._times_ns
        after = int(np.searchsorted(times, now_ns, side="right"))
        if after == 0 or after == len(times):
            held: FloatArray = self._positions[0 if after == 0 else -1]
            return held
        share = (now_ns - times[after - 1]) / (times[after] - times[after - 1])
        between: FloatArray = self._positions[after - 1] + share * (
            self._positions[after] - self._positions[after - 1]
        )
        return between

    def accept(
        self,
        names: Sequence[str],
        positions: npt.ArrayLike,
        times_s: npt.ArrayLike,
        *,
        now_ns: int,
        measured: npt.ArrayLike,
        start_ns: int | None = None,
        velocities: npt.ArrayLike | None = None,
    ) -> None:
        """Follow `positions` (N, J), in the order of `names`, at `times_s` (N,) after `start_ns` (None: now).

        `velocities` (N, J) are only checked. Raises RejectedError, and the old trajectory goes on.
        """
        order = self._order(names)
        points = np.array(positions, dtype=np.float64)
        times = np.asarray(times_s, dtype=np.float64)
        _check_points(points, times, len(self._joints))
        _check_end(velocities)
        times_ns = (now_ns if start_ns is None else start_ns) + times * 1e9
        if times_ns[-1] < now_ns or (start_ns is not None and times_ns[-1] == now_ns):
            late = (now_ns - times_ns[-1]) / 1e9
            raise RejectedError(f"trajectory ended {late:.3f} s ago; its end must lie in the future")
        entry = self.desired(now_ns) if self._from_desired else np.asarray(measured, dtype=np.float64)
        ahead = times_ns > now_ns
        if not ahead.any():  # one point at time 0: a step
            self.reset(points[-1, order])
            return
        self._times_ns = np.concatenate([[now_ns], times_ns[ahead]])
        self._positions = np.concatenate([entry[None], points[ahead][:, order]])

    def _order(self, names: Sequence[str]) -> list[int]:
        if sorted(names) != sorted(self._joints):
            raise RejectedError(
                f"joint names {list(names)} given; each of {list(self._joints)} is needed once, in any order"
            )
        return [list(names).index(joint) for joint in self._joints]


class GripperController:
    """The xArm gripper behind its GripperCommand action: motion, and when its driver says where it stands.

    Positions are in rad of `drive_joint`, 0 open to 0.85 closed. Until the first goal the driver repeats the
    reading that it made at its start, at 2 Hz. During an action it reads and reports at 10 Hz until the
    gripper has stood still for ten readings, whether it arrived or holds something; then it is silent. The
    newest goal wins.
    """

    READ_NS = 100_000_000
    IDLE_NS = 500_000_000
    STILL_PULSES = 3.0
    STILL_READINGS = 10

    def __init__(self) -> None:
        self.reset(0.0, now_ns=0)

    def reset(self, position: float, *, now_ns: int) -> None:
        """Behave as after the driver's start, with the gripper at `position`; the first report is due now."""
        self._startup: float | None = position
        self._target = self._desired = pulse_of(position)
        self._next_ns, self._step_ns = now_ns, now_ns
        self._reading, self._still, self._active = pulse_of(position), 0, False

    @property
    def active(self) -> bool:
        """Whether an action runs."""
        return self._active

    def goal(self, position: float, *, now_ns: int) -> None:
        """Begin to move to `position`; RejectedError if it is not within 0..0.85 rad."""
        if not 0.0 <= position <= CLOSED_RAD:
            raise RejectedError(
                f"gripper position {position:g} rad given; possible is 0 (open) to {CLOSED_RAD:g}"
            )
        self._target = pulse_of(position)
        self._startup, self._active, self._still = None, True, 0
        self._reading, self._next_ns = -OPEN_PULSE, now_ns

    def desired(self, now_ns: int) -> float:
        """Return the position, rad, that the fingers should have at `now_ns`; their speed is constant."""
        reach = GRIPPER_SPEED * (now_ns - self._step_ns) / 1e9
        self._step_ns = now_ns
        self._desired += float(np.clip(self._target - self._desired, -reach, reach))
        return position_of(self._desired)

    def report(self, measured: float, now_ns: int) -> float | None:
        """Return the position, rad, that the driver publishes at `now_ns`, if any; it reads `measured`."""
        if now_ns < self._next_ns or not (self._active or self._startup is not None):
            return None
        if self._startup is not None:
            self._next_ns += self.IDLE_NS
            return self._startup
        self._next_ns += self.READ_NS
        self._watch(pulse_of(measured))
        return measured

    def _watch(self, pulse: float) -> None:
        if abs(self._reading - pulse) < self.STILL_PULSES:
            self._still += 1
        else:
            self._still, self._reading = 0, pulse
        self._active = self._still < self.STILL_READINGS


def pulse_of(position: float) -> float:
    """Return the driver's pulses, 850 open to 0 closed, for a position in rad."""
    return abs(OPEN_PULSE - PULSES_PER_RAD * position)


def position_of(pulse: float) -> float:
    """Return the position in rad for the driver's pulses."""
    return (OPEN_PULSE - pulse) / PULSES_PER_RAD


def _check_points(points: FloatArray, times: FloatArray, joints: int) -> None:
    if points.size == 0:
        raise RejectedError("trajectory has no points; at least one is needed")
    if points.shape != (len(times), joints):
        raise RejectedError(
            f"{points.shape} positions at {len(times)} times; ({len(times)}, {joints}) are needed"
        )
    if not np.isfinite(points).all() or not np.isfinite(times).all():
        raise RejectedError("trajectory holds values that are not finite")
    if times[0] < 0.0 or (np.diff(times) <= 0.0).any():
        raise RejectedError(f"times {times.tolist()} s are not strictly increasing from 0 on")


def _check_end(velocities: npt.ArrayLike | None) -> None:
    if velocities is None:
        return
    last = np.asarray(velocities, dtype=np.float64)[-1]
    if np.abs(last).max() > 1e-6:
        raise RejectedError(f"the last point has velocities {last.tolist()}; they must be 0 or absent")
