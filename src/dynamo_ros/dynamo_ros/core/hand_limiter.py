"""From targets of a hand's joints to limited commands, beside the Commander's for the arm.

Fingers press on things, so a lasting difference between commanded and measured joints is no reason to stop
here, as it is for the arm: how hard they may press is for the driver's torque limits.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.hand_sink import HandSink

FloatArray = npt.NDArray[np.float64]

TURN = 2.0 * np.pi  # a joint that is said to be so far outside its limits is told in other units


class HandError(DynamoError):
    """The hand can't be commanded any longer, so that it and the arm must stop."""


class HandStep(NamedTuple):
    """What the hand is told now."""

    joints: FloatArray | None  # (16,) rad in the order of contract.hand.joints; None: nothing is due
    clipped: tuple[str, ...]  # the limits that were applied, by name


NOTHING = HandStep(None, ())


class HandFollower(Protocol):
    """What a Commander needs of a hand, or of there being none."""

    @property
    def relaxed(self) -> bool:
        """Whether `relax` would repeat the last command."""

    def start(self, now_ns: int) -> None:
        """Begin to command; nothing moves before `aim`, and never before the hand was measured."""

    def aim(self, joints: npt.ArrayLike | None, at_ns: int) -> None:
        """Move so as to be at `joints` (16,) rad at `at_ns`, as the limits allow; None changes nothing."""

    def hold(self) -> None:
        """Repeat the last command until the next `aim`: what is grasped stays grasped."""

    def observe(self, measured: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the measured joints (16,) rad."""

    def step(self, now_ns: int) -> HandStep:
        """Return the command for `now_ns`; to be called at least `contract.hand.rate_hz` times a second.

        Raises:
            HandError: a target is no 16 finite numbers, or the measured joints are too old.
        """

    def relax(self, now_ns: int, period_ns: int) -> FloatArray | None:
        """Return the command of a stop, `period_ns` after the last one: nearer to where the hand is.

        (16,) rad; None while nothing was commanded.
        """

    def take_back(self) -> None:
        """Forget the last command: it was not sent."""


class HandLimiter:
    """Moves the commanded joints towards targets: finite, within positions, velocities and steps.

    Commanding begins at the measured joints. Each command, those of a stop as well, differs from the one
    before by at most `step_rad`, less where it comes early, and `velocity_rad_s` times the time between; each
    joint by itself, because fingers have no common path.
    """

    def __init__(self, sink: HandSink) -> None:
        self._sink = sink
        self._lower, self._upper = np.array(sink.lower_rad), np.array(sink.upper_rad)
        self._velocity, self._step_rad = np.array(sink.velocity_rad_s), np.array(sink.step_rad)
        self._measured: FloatArray | None = None
        self._measured_ns = 0
        self.start(0)

    @property
    def relaxed(self) -> bool:
        """Whether `relax` would repeat the last command."""
        if self._joints is None or self._rest is None:
            return self._joints is None
        return np.allclose(self._joints, self._rest, rtol=0.0, atol=1e-9)

    def start(self, now_ns: int) -> None:
        """Begin to command; nothing moves before `aim`, and never before the hand was measured."""
        self._joints: FloatArray | None = None
        self._before: FloatArray | None = None  # the last command's joints
        self._rest: FloatArray | None = None  # where a stop leads
        self._goal: FloatArray | None = None
        self._at_ns = self._now_ns = now_ns

    def aim(self, joints: npt.ArrayLike | None, at_ns: int) -> None:
        """Move so as to be at `joints` (16,) rad at `at_ns`, as the limits allow; None changes nothing."""
        if joints is not None:
            self._goal, self._at_ns = np.array(joints, np.float64), at_ns

    def hold(self) -> None:
        """Repeat the last command until the next `aim`: what is grasped stays grasped."""
        self._goal = None

    def observe(self, measured: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the measured joints (16,) rad; what can't be counts as not measured."""
        joints = np.array(measured, np.float64)
        lowest, highest = self._lower - TURN, self._upper + TURN
        if joints.shape == self._lower.shape and ((lowest <= joints) & (joints <= highest)).all():
            self._measured, self._measured_ns = joints, stamp_ns

    def step(self, now_ns: int) -> HandStep:
        """Return the command for `now_ns`; to be called at least `contract.hand.rate_hz` times a second.

        Raises:
            HandError: a target is no 16 finite numbers, or the measured joints are too old.
        """
        elapsed_ns = now_ns - self._now_ns
        self._before, self._rest = self._joints, None
        # Somewhat early is due as well: calls come with jitter, and the step is as short as the time.
        if self._joints is not None and 0 <= elapsed_ns < 0.6 * self._sink.period_ns:
            return NOTHING
        self._check(now_ns)
        if self._joints is None:
            if self._goal is None or self._measured is None or self._is_old(now_ns):
                self._now_ns = now_ns
                return NOTHING
            self._joints = self._measured
        remaining_ns, self._now_ns = self._at_ns - self._now_ns, now_ns
        if self._goal is None:
            return HandStep(self._joints, ())
        # Never more than one period: a late call must not turn into one fast motion.
        dt_ns = min(max(elapsed_ns, 0), self._sink.period_ns)
        fraction = 1.0 if remaining_ns <= dt_ns else dt_ns / remaining_ns
        return self._towards(self._goal, fraction, dt_ns / 1e9)

    def relax(self, now_ns: int, period_ns: int) -> FloatArray | None:
        """Return the command of a stop, `period_ns` after the last one; None while nothing was commanded.

        (16,) rad, a limited step nearer to the joints that were measured when the stop began: fingers that
        press let go. They stay where they were sent if that reading was too old to go by.
        """
        self._before = self._joints
        if self._joints is None or self._measured is None:
            return None
        if self._rest is None:
            rest = self._joints if self._is_old(now_ns) else self._measured
            # One reading for all of the stop: a hand that sags under its load would sink with each command.
            self._rest = np.clip(rest, self._lower, self._upper)
        return self._towards(self._rest, 1.0, min(period_ns, self._sink.period_ns) / 1e9).joints

    def take_back(self) -> None:
        """Forget the last command: it was not sent."""
        self._joints = self._before

    def _check(self, now_ns: int) -> None:
        if self._goal is not None and not (
            self._goal.shape == self._lower.shape and np.isfinite(self._goal).all()
        ):
            raise HandError(
                f"target of the hand is no {len(self._lower)} finite numbers: {self._goal.tolist()}"
            )
        if self._joints is not None and self._is_old(now_ns):
            age_s = (now_ns - self._measured_ns) / 1e9
            raise HandError(f"no new joint positions of the hand for {age_s:.2f} s")

    def _is_old(self, now_ns: int) -> bool:
        """Return whether the measured joints are too old; or far ahead, where the clock went back."""
        return abs(now_ns - self._measured_ns) / 1e9 > self._sink.stale_stop_s

    def _towards(self, goal: FloatArray, fraction: float, dt_s: float) -> HandStep:
        assert self._joints is not None
        inside = np.clip(goal, self._lower, self._upper)
        wanted = fraction * (inside - self._joints)
        most = np.minimum(self._step_rad * dt_s * self._sink.rate_hz, self._velocity * dt_s)
        step = np.clip(wanted, -most, most)
        clipped = [f"position of {self._sink.joints[i]}" for i in np.flatnonzero(inside != goal)]
        clipped += [f"step of {self._sink.joints[i]}" for i in np.flatnonzero(np.abs(wanted) > most)]
        self._joints = self._joints + step
        return HandStep(self._joints, tuple(clipped))


class NoHand:
    """At the place of a HandLimiter where the robot has no hand."""

    relaxed = True

    def start(self, now_ns: int) -> None:
        """Do nothing."""

    def aim(self, joints: npt.ArrayLike | None, at_ns: int) -> None:
        """Do nothing."""

    def hold(self) -> None:
        """Do nothing."""

    def observe(self, measured: npt.ArrayLike, stamp_ns: int) -> None:
        """Do nothing."""

    def step(self, now_ns: int) -> HandStep:  # noqa: ARG002 (as a HandLimiter's)
        """Return that nothing is due."""
        return NOTHING

    def relax(self, now_ns: int, period_ns: int) -> FloatArray | None:  # noqa: ARG002 (as a HandLimiter's)
        """Return that nothing is due."""
        return None

    def take_back(self) -> None:
        """Do nothing."""


def hand_follower(contract: Contract) -> HandFollower:
    """Return what limits the commands to the contract's hand, or does nothing where there is none."""
    return NoHand() if contract.hand is None else HandLimiter(contract.hand)
