"""From targets to limited commands: up-sampling, inverse kinematics, limits and the latched stop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.gripper import gripper_trigger
from dynamo_ros.core.hand_limiter import HandError, hand_follower
from dynamo_ros.core.ik import IkError, InverseKinematics
from dynamo_ros.core.limiter import Limiter, is_finite

FloatArray = npt.NDArray[np.float64]
StopKind = str  # what stopped: a limit, a gate (dynamo_ros.core.gate_board), or "requested"


class StopReason(NamedTuple):
    """Why the arm was stopped."""

    kind: StopKind
    text: str
    at_ns: int


class StoppedError(DynamoError):
    """A command was asked for while the stop is latched, or before the start."""


class ArmCommand(NamedTuple):
    """One command, after every limit."""

    joints: FloatArray  # (J,) rad, in the order of contract.arm.joints
    target: Target  # where `joints` put the tool; the gripper is 0 or 1 once a clear wish has come
    gripper: float | None  # a goal for the gripper's driver, None where nothing changes
    clipped: tuple[str, ...]  # the limits that were applied, by name
    hand: FloatArray | None = None  # (16,) rad in the order of contract.hand.joints, None: nothing is due


class Commander:
    """Moves the commanded pose towards targets, never beyond the contract's limits.

    Commanding begins at the measured joints and each command obeys the speed limits, so the first one lies
    within `velocity_rad_s` times one command period of where the arm is, however far the first target. Should
    the arm not be where `start` was told (by more than `first_target_within_rad`), the stop is latched.
    """

    def __init__(self, contract: Contract) -> None:
        self._arm = contract.arm
        self._chain, self._tool_offset_m = chain(contract.kinematics), contract.tool_offset_m
        self._max_age_ns = contract.streams[contract.arm_stream].max_age_ns
        self._limiter, self._ik = Limiter(contract), InverseKinematics(contract)
        self._gripper = gripper_trigger(contract.gripper)
        self._hand = hand_follower(contract)
        self._stopped: StopReason | None = None
        self._started = self._hold_due = False

    @property
    def stopped(self) -> StopReason | None:
        """Why the arm is stopped; None while it is not. Only `rearm` clears it."""
        return self._stopped

    @property
    def started(self) -> bool:
        """Whether commands come: started, and not stopped."""
        return self._started and self._stopped is None

    def forward(self, joints: npt.ArrayLike) -> Pose:
        """Return the tool pose of `joints` (J,) rad."""
        position, rotation = self._chain.forward(joints, tool_offset_m=self._tool_offset_m)
        return Pose(position, Rotation.from_matrix(rotation).as_quat())

    def start(self, measured_q: npt.ArrayLike, now_ns: int) -> None:
        """Begin to command at the measured joints (J,) rad.

        Raises:
            StoppedError: a stop is latched, or the joints are not finite.
        """
        if self._stopped is not None:
            raise StoppedError(f"stopped ({self._stopped.text}); re-arm before starting")
        joints = np.array(measured_q, np.float64)
        if not np.isfinite(joints).all():
            raise StoppedError(f"can't start at joints {joints.tolist()}, which are not finite")
        self._ik.reset(joints)
        self._gripper.forget()
        self._hand.start(now_ns)
        self._joints, self._pose = joints, self.forward(joints)
        self._goal: Pose | None = None  # None: hold, or jog
        self._jog: FloatArray | None = None  # velocities, until `_at_ns`
        self._at_ns = now_ns
        self._aim_clipped: tuple[str, ...] = ()
        self._wish: float | None = None  # the gripper's, on its way to `_goal_wish` as the pose to `_goal`
        self._goal_wish = 0.0
        self._measured, self._measured_ns = joints, now_ns
        self._off_since_ns: int | None = None
        self._now_ns, self._first, self._started = now_ns, True, True

    def rearm(self, measured_q: npt.ArrayLike, now_ns: int) -> None:
        """Clear the latched stop and start at the measured joints (J,) rad."""
        self._stopped = None
        self.start(measured_q, now_ns)

    def clear(self) -> None:
        """Clear the latched stop without starting: for a person who re-arms before activation."""
        self._stopped, self._started = None, False

    def finish(self) -> ArmCommand | None:
        """Command nothing from now on, without a stop; `start` begins again.

        Returns the last command, a hold at the measured joints, or None where there is nothing to hold.
        """
        self._hold_due = self._hold_due or self.started
        last, self._started = self._held(), False
        return last

    def aim(self, target: Target, at_ns: int) -> None:
        """Move so as to be at `target` at `at_ns`, as the speed limits allow; a non-finite target stops."""
        if not self.started:
            return
        if not is_finite(target):
            self.stop(f"target is not finite: {target}", kind="non_finite")
            return
        self._hand.aim(target.hand, at_ns)
        limited, self._aim_clipped = self._limiter.workspace(target)
        self._goal, self._jog, self._at_ns = limited.pose, None, at_ns
        self._goal_wish = limited.gripper
        self._wish = limited.gripper if self._wish is None else self._wish

    def aim_hand(self, joints: npt.ArrayLike, at_ns: int) -> None:
        """Move the hand alone so as to be at `joints` (16,) rad at `at_ns`; the arm goes on as told."""
        if self.started:
            self._hand.aim(joints, at_ns)

    def jog(self, velocity_rad_s: npt.ArrayLike, gripper: float, until_ns: int) -> None:
        """Move the joints at these velocities (J,) until `until_ns`, as all limits allow, then hold.

        Velocities that are not finite stop.
        """
        if not self.started:
            return
        velocity = np.array(velocity_rad_s, np.float64)
        if not np.isfinite([*velocity, gripper]).all():
            self.stop(f"jog is not finite: {velocity.tolist()}, gripper {gripper}", kind="non_finite")
            return
        self._goal, self._jog, self._at_ns = None, velocity, until_ns
        self._wish = self._goal_wish = float(np.clip(gripper, 0.0, 1.0))

    def hold(self) -> None:
        """Repeat the last joints until the next `aim` or `jog`; not even the redundant joint moves."""
        self._goal = self._jog = None
        self._hand.hold()

    def observe_hand(self, measured: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the hand's measured joints (16,) rad; pressing on something is no reason to stop."""
        self._hand.observe(measured, stamp_ns)

    def observe(self, measured_q: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the measured joints (J,) rad; a lasting difference from the commanded ones stops."""
        measured = np.asarray(measured_q, np.float64)
        if not self._started or not np.isfinite(measured).all():
            return  # a non-finite reading counts as none: the stream then goes stale
        self._measured, self._measured_ns = measured, max(stamp_ns, self._measured_ns)
        error = float(np.abs(measured - self._joints).max())
        if error <= self._arm.tracking_stop_rad:
            self._off_since_ns = None
            return
        self._off_since_ns = stamp_ns if self._off_since_ns is None else self._off_since_ns
        if (stamp_ns - self._off_since_ns) / 1e9 >= self._arm.tracking_stop_s:
            limit = f"{self._arm.tracking_stop_rad:g} rad for {self._arm.tracking_stop_s:g} s"
            self.stop(f"the arm is {error:.3f} rad from its command, more than {limit}", kind="tracking")

    def stop(self, reason: str, *, kind: StopKind = "requested") -> None:
        """Latch the stop: one hold at the measured joints follows, then no command until `rearm`."""
        if self._stopped is None:
            self._stopped = StopReason(kind, reason, self._now_ns if self._started else 0)
            self._hold_due = self._started

    def step(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`; to be called `contract.arm.rate_hz` times a second.

        None: not started, or stopped and the hold was given already. The hold repeats the measured joints, so
        it is the one command that the velocity limit does not shape.
        """
        if not self._started:
            return None
        # Never more than one period: a late call must not turn into one fast motion.
        dt_ns = min(max(now_ns - self._now_ns, 0), self._arm.period_ns)
        fraction = _fraction(dt_ns, self._at_ns - self._now_ns)
        self._now_ns = now_ns
        command: ArmCommand | None = None
        if self._stopped is None:
            command = self._with_hand(self._advance(fraction, dt_ns / 1e9))
        return command if self._stopped is None else self._held()

    def _with_hand(self, command: ArmCommand | None) -> ArmCommand | None:
        """Return `command` with what is due for the hand; what stops the hand stops the arm."""
        if command is None:
            return None
        try:
            joints, clipped = self._hand.step(self._now_ns)
        except HandError as error:
            self.stop(str(error), kind="hand")
            return None
        target = command.target._replace(hand=joints)
        return command._replace(target=target, hand=joints, clipped=(*command.clipped, *clipped))

    def _missing(self) -> bool:
        """Return whether the measured joints are too old to move by; stop if they have been for too long."""
        age_ns = self._now_ns - self._measured_ns
        if age_ns > self._arm.stale_stop_s * 1e9:
            self.stop(f"no joint positions of the arm for {age_ns / 1e9:.2f} s", kind="stale")
        return self._max_age_ns is not None and age_ns > self._max_age_ns

    def _advance(self, fraction: float, dt_s: float) -> ArmCommand | None:
        if self._missing():
            return self._command(self._joints, ("stale",))
        if self._jog is not None and dt_s > 0.0 and self._now_ns <= self._at_ns:
            return self._jogged(self._jog, dt_s)
        if self._goal is None or dt_s == 0.0:
            return self._command(self._joints, ())
        wanted, slow = self._limiter.approach(self._pose, self._goal, fraction=fraction, dt_s=dt_s)
        try:
            solved = self._ik.step(wanted, dt_s)
        except IkError as error:
            self.stop(str(error), kind="kinematics")
            return None
        if not np.isfinite(solved).all():
            self.stop(f"inverse kinematics gave {solved.tolist()}", kind="kinematics")
            return None
        joints, limited = self._limiter.joints(self._joints, solved, dt_s=dt_s)
        if limited:
            self._ik.reset(joints)
        if self._first and not self._near_measured(joints):
            return None
        if self._wish is not None:
            self._wish += fraction * (self._goal_wish - self._wish)
        return self._command(joints, (*self._aim_clipped, *slow, *limited))

    def _jogged(self, velocity: FloatArray, dt_s: float) -> ArmCommand | None:
        wanted, limited = self._limiter.joints(self._joints, self._joints + velocity * dt_s, dt_s=dt_s)
        part, slow = self._limiter.tool_part(self._pose, self.forward(wanted), dt_s=dt_s)
        joints = self._joints + part * (wanted - self._joints)
        self._ik.reset(joints)
        if self._first and not self._near_measured(joints):
            return None
        return self._command(joints, (*limited, *slow))

    def _near_measured(self, joints: FloatArray) -> bool:
        distance, within = float(np.abs(joints - self._measured).max()), self._arm.first_target_within_rad
        self._first = False
        if distance > within:
            text = f"the first command is {distance:.3f} rad from the arm, more than {within:g}"
            self.stop(text, kind="first_target")
        return distance <= within

    def _command(self, joints: FloatArray, clipped: tuple[str, ...]) -> ArmCommand:
        # The pose is that of the joints: what the limits cut off is not carried along, so nothing winds up.
        self._joints, self._pose = joints, self.forward(joints)
        goal = None if self._wish is None else self._gripper.goal(self._wish, self._now_ns)
        return ArmCommand(joints, Target(self._pose, self._gripper_state()), goal, clipped)

    def _gripper_state(self) -> float:
        return (self._wish or 0.0) if self._gripper.closed is None else float(self._gripper.closed)

    def _held(self) -> ArmCommand | None:
        if not self._hold_due:
            return None
        self._hold_due = False
        target = Target(self.forward(self._measured), self._gripper_state(), self._hand.held)
        return ArmCommand(self._measured, target, None, ("stop",), self._hand.held)


def _fraction(dt_ns: int, remaining_ns: int) -> float:
    """Return how much of the way left is due in `dt_ns`, when `remaining_ns` are left."""
    return 1.0 if remaining_ns <= dt_ns else dt_ns / remaining_ns
