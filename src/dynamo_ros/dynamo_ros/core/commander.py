"""From targets to limited commands: up-sampling, inverse kinematics, soft motion and the latched stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.arm_watch import ArmWatch
from dynamo_ros.core.command_clock import CommandClock, patience_ns
from dynamo_ros.core.commands import ArmCommand, StopKind, StoppedError, StopReason
from dynamo_ros.core.gripper import gripper_trigger
from dynamo_ros.core.hand_limiter import NOTHING, HandError, HandStep, hand_follower
from dynamo_ros.core.ik import IkError
from dynamo_ros.core.limiter import Limiter, is_finite
from dynamo_ros.core.motion import Motion
from dynamo_ros.core.tool_path import ToolPath

__all__ = ["ArmCommand", "Commander", "StopKind", "StopReason", "StoppedError"]
FloatArray = npt.NDArray[np.float64]

# The most commands of each part of a stop; braking takes 0.3 s at worst with the xArm's limits.
ENDING_COMMANDS = 500


class Commander:
    """Moves the commanded joints softly after targets of the tool, never beyond the contract's limits.

    Each command says where to be one period later, and how to brake from there. Commanding begins at rest at
    the measured joints, so the first command lies next to where the arm is, however far the first target.
    Should the arm not be where `start` was told, by more than `first_target_within_rad`, that stops.
    """

    def __init__(self, contract: Contract) -> None:
        self._arm = contract.arm
        self._limiter, self._watch = Limiter(contract), ArmWatch(contract)
        self._path, self._motion = ToolPath(contract), Motion(contract)
        self._gripper = gripper_trigger(contract.gripper)
        self._hand = hand_follower(contract)
        self._clock = CommandClock(contract.arm.period_ns, patience_ns(contract.arm))
        self._stopped: StopReason | None = None
        self._started = self._sent = False
        self._ending: Iterator[ArmCommand] = iter(())

    @property
    def stopped(self) -> StopReason | None:
        """Why the arm is stopped; None while it is not. Only `rearm` clears it."""
        return self._stopped

    @property
    def started(self) -> bool:
        """Whether commands come: started, and not stopped."""
        return self._started and self._stopped is None

    @property
    def moving(self) -> bool:
        """Whether the commanded joints are not at rest; a stop may still be braking them."""
        return self._motion.moving

    @property
    def joints(self) -> FloatArray:
        """The joints of the last command (J,) rad, or those at which commanding began."""
        return self._motion.joints

    @property
    def rest(self) -> FloatArray:
        """Where the commanded joints come to rest, if they brake from now on, (J,) rad."""
        return self._motion.rest

    def forward(self, joints: npt.ArrayLike) -> Pose:
        """Return the tool pose of `joints` (J,) rad."""
        return self._motion.forward(joints)

    def start(self, measured_q: npt.ArrayLike, now_ns: int) -> None:
        """Begin to command at the measured joints (J,) rad, or in mid-braking, where that is going on.

        Raises:
            StoppedError: a stop is latched, or the joints are not finite.
        """
        if self._stopped is not None:
            raise StoppedError(f"stopped ({self._stopped.text}); re-arm before starting")
        joints = np.array(measured_q, np.float64)
        if not np.isfinite(joints).all():
            raise StoppedError(f"can't start at joints {joints.tolist()}, which are not finite")
        self._path.start(joints)
        self._watch.start(joints, now_ns)
        self._gripper.forget()
        self._hand.start(now_ns)
        self._catch_up(now_ns)
        if not self._motion.moving:
            self._motion.start(joints)
        self._clock.start(now_ns)
        self._goal: Pose | None = None  # None: hold, or jog
        self._jog: FloatArray | None = None  # velocities, until `_at_ns`
        self._at_ns = now_ns
        self._aim_clipped: tuple[str, ...] = ()
        self._wish: float | None = None  # the gripper's, on its way to `_goal_wish` as the pose to `_goal`
        self._goal_wish = 0.0
        self._ending = iter(())
        self._now_ns, self._sent, self._started = now_ns, False, True

    def shift_clock(self, by_ns: int) -> None:
        """Take note that the clock jumped: less, or more, time has passed than it says."""
        self._clock.shift(by_ns)

    def rearm(self, measured_q: npt.ArrayLike, now_ns: int) -> None:
        """Clear the latched stop and start at the measured joints (J,) rad."""
        self._stopped = None
        self.start(measured_q, now_ns)

    def clear(self) -> None:
        """Clear the latched stop without starting; what moves comes to rest."""
        if self.started:
            self._ending = self._to_rest()
        self._stopped, self._started = None, False

    def finish(self, now_ns: int | None = None) -> tuple[ArmCommand, ...]:
        """Command nothing from now on but these, one a period, which bring the arm to rest; no stop.

        None are left where nothing was commanded since the start, or a stop has come to rest. With `now_ns`
        they begin where the arm is by then, if it got none for a while.
        """
        if now_ns is not None:
            self._catch_up(now_ns)
        if self.started:
            self._ending = self._to_rest()
        self._started = False
        return tuple(self._ending)

    def aim(self, target: Target, at_ns: int) -> None:
        """Move so as to be at `target` at `at_ns`, as the limits allow; a non-finite target stops."""
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
        """Come to rest and stay there until the next `aim` or `jog`; not even the redundant joint moves."""
        self._goal = self._jog = None
        self._hand.hold()

    def observe_hand(self, measured: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the hand's measured joints (16,) rad; pressing on something is no reason to stop."""
        self._hand.observe(measured, stamp_ns)

    def observe(self, measured_q: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the measured joints (J,) rad; a lasting difference from the commanded ones stops."""
        if not self._started:
            return
        if reason := self._watch.observe(measured_q, stamp_ns, self._motion.joints):
            self.stop(reason, kind="tracking")

    def stop(self, reason: str, *, kind: StopKind = "requested") -> None:
        """Latch the stop: commands follow that bring the arm to rest, then none until `rearm`."""
        if self._stopped is None:
            self._stopped = StopReason(kind, reason, self._now_ns if self._started else 0)
            self._ending = self._to_rest() if self._started else self._ending

    def step(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`; to be called `contract.arm.rate_hz` times a second.

        None: not started, stopped and at rest, or called again within a period.
        """
        self._catch_up(now_ns)
        if not self._clock.due(now_ns, at_rest=not self._motion.moving):
            return None
        self._now_ns = now_ns
        command = self._next() if self.started else None
        command = command if self.started else next(self._ending, None)
        if command is None:
            self._clock.skip()
        return command

    def may_send(self, command: ArmCommand, now_ns: int) -> bool:
        """Return whether `command`, the last of `step`, may still be sent; to be asked right before.

        Not where the arm has begun to brake meanwhile, or stands: to go on at speed would be a jolt. It then
        counts as never given, and the motion goes on from where the arm is.
        """
        if not self._clock.late(now_ns):
            return True
        self._motion.take_back()
        self._catch_up(now_ns)
        self._hand.take_back()
        if command.gripper is not None:
            self._gripper.forget()
        return False

    def _catch_up(self, now_ns: int) -> None:
        """Move to where the arm is by now, if it got no commands for a while."""
        if self._arm.brakes_itself:
            self._motion.coast(self._clock.missed(now_ns))
        elif self._clock.paused(now_ns):
            self._motion.halt()

    def _next(self) -> ArmCommand | None:
        """Return the next command, or None where something stops instead of it."""
        hand, hand_clipped = self._step_hand()
        self._check()
        if not self.started:
            self._hand.take_back()
            return None
        try:
            clipped = self._move()
        except IkError as error:
            self._hand.take_back()
            self.stop(str(error), kind="kinematics")
            return None
        self._sent = True
        goal = None if self._wish is None else self._gripper.goal(self._wish, self._now_ns)
        return self._command(goal, (*clipped, *hand_clipped), hand)

    def _step_hand(self) -> HandStep:
        try:
            return self._hand.step(self._now_ns)
        except HandError as error:
            self.stop(str(error), kind="hand")
            return NOTHING

    def _check(self) -> None:
        if reason := self._watch.gone(self._now_ns):
            self.stop(reason, kind="stale")
        if not self._sent and (reason := self._watch.elsewhere(self._motion.joints)):
            self.stop(reason, kind="first_target")

    def _move(self) -> tuple[str, ...]:
        """Move by one period; return the limits that applied."""
        stale = self._watch.stale(self._now_ns)
        if self._goal is not None and not stale:
            fraction = _fraction(self._arm.period_ns, self._at_ns - self._now_ns)
            if self._wish is not None:
                self._wish += fraction * (self._goal_wish - self._wish)
            return *self._aim_clipped, *self._path.lead(self._motion, self._goal, fraction=fraction)
        self._path.leave()
        if self._jog is not None and self._now_ns <= self._at_ns and not stale:
            return self._motion.along(self._jog)
        self._motion.brake()
        return ("stale",) if stale else ()

    def _to_rest(self) -> Iterator[ArmCommand]:
        """Return the commands of a stop: the arm brakes, and lets go of what it presses on."""
        if not self._sent:
            return
        yield from self._until_rest(self._motion.brake)
        if self._stopped is not None and self._stopped.kind == "tracking":
            goal = self._watch.joints
            yield from self._until_rest(lambda: self._motion.toward(goal))

    def _until_rest(self, move: Callable[[], object]) -> Iterator[ArmCommand]:
        """Return commands up to the first that repeats the one before: drivers of velocities need that."""
        for _ in range(ENDING_COMMANDS):
            before = self._motion.joints
            move()
            yield self._command(None, ("stop",), self._hand.relax(self._now_ns, self._arm.period_ns))
            rests = np.allclose(before, self._motion.joints, rtol=0.0, atol=1e-9)
            if rests and not self._motion.moving and self._hand.relaxed:
                return

    def _command(self, goal: float | None, clipped: tuple[str, ...], hand: FloatArray | None) -> ArmCommand:
        gripper = (self._wish or 0.0) if self._gripper.closed is None else float(self._gripper.closed)
        target = Target(self._motion.pose, gripper, hand)
        return ArmCommand(self._motion.joints, target, goal, clipped, self._motion.braking, hand)


def _fraction(period_ns: int, remaining_ns: int) -> float:
    """Return how much of the way left is due in a period, when `remaining_ns` are left."""
    return 1.0 if remaining_ns <= period_ns else period_ns / remaining_ns
