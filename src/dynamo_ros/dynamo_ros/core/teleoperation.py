"""From a teleoperation device's targets to commands: when to engage, when to hold, when to let go."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import ArmCommand, Commander, StopReason

FloatArray = npt.NDArray[np.float64]
Engagement = Literal["idle", "engaged", "holding"]

SILENCE_NS = 250_000_000
# Between two readings no arm gets farther than this: the xArm's own limit is 4 rad/s (xArm SDK), a reading
# may be off by a little. Farther means that the arm was put elsewhere, as a simulated station's reset does.
JUMP_RAD, JUMP_RAD_S = 0.1, 4.0
# A reading stamped by less than this before the one at hand comes late; by more, a clock was set back.
LATE_NS = 1_000_000_000
# A jog lasts this long without the next; that of MoveIt Servo.
JOG_NS = 100_000_000
# A target is aimed at for one interval between targets ahead, within these bounds.
SLOWEST_INTERVAL_NS = 100_000_000


class Teleoperation:
    """Commands an arm towards the targets of a teleoperation device.

    The first target engages: the arm starts at its measured pose and moves to the target no faster than the
    contract allows. When targets stop for `silence_ns` the arm holds, and the next target engages again. When
    the arm jumps, nothing is commanded until the next target; when a clock was set back, nothing but what
    brings it to rest.
    """

    def __init__(self, contract: Contract, *, silence_ns: int = SILENCE_NS) -> None:
        self._commander = Commander(contract)
        self._period_ns, self._silence_ns = contract.arm.period_ns, silence_ns
        self._measured: FloatArray | None = None
        self._measured_ns = 0
        # A robot without a gripper waits for no wish of one.
        self._gripper = None if contract.gripper is not None else 0.0
        self._target_ns: int | None = None
        self._ignored_ns: int | None = None  # when a target came that had to wait for the gripper's
        self.engagement: Engagement = "idle"
        self.yields = False  # whether somebody else commands the arm, so that no target engages

    @property
    def stopped(self) -> StopReason | None:
        """Why the arm is stopped; None while it is not."""
        return self._commander.stopped

    @property
    def moving(self) -> bool:
        """Whether the commanded joints are not at rest; a stop may still be braking them."""
        return self._commander.moving

    @property
    def measured_pose(self) -> Pose | None:
        """Where the tool was measured last; None before the first reading."""
        return None if self._measured is None else self._commander.forward(self._measured)

    def observe(self, joints: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the measured joints (J,) rad; of those that come late, none."""
        measured = np.asarray(joints, np.float64)
        back_ns = 0 if self._measured is None else self._measured_ns - stamp_ns
        if 0 < back_ns < LATE_NS and self.engagement != "idle":
            return
        if self._has_jumped(measured, stamp_ns):
            self.finish()
        elif back_ns > 0:
            self.let_go()
        self._measured, self._measured_ns = measured, stamp_ns
        self._commander.observe(measured, stamp_ns)

    def wish(self, gripper: float) -> None:
        """Take the gripper's target, 0 open to 1 closed; nothing engages before the first one."""
        self._gripper = gripper

    def lacks_gripper(self, now_ns: int) -> bool:
        """Return whether targets come that move nothing for want of one for the gripper."""
        if self._gripper is not None or self._ignored_ns is None:
            return False
        return now_ns - self._ignored_ns <= self._silence_ns

    def aim(self, pose: Pose, now_ns: int) -> None:
        """Take the tool's target that arrived at `now_ns`; engage if that has not been done."""
        if self._gripper is None:
            self._ignored_ns = now_ns
        if self._gripper is None or not self._engage(now_ns):
            return
        interval_ns = self._period_ns if self._target_ns is None else now_ns - self._target_ns
        ahead_ns = min(max(interval_ns, self._period_ns), SLOWEST_INTERVAL_NS)
        self._target_ns = now_ns
        self._commander.aim(Target(pose, self._gripper), now_ns + ahead_ns)

    def observe_hand(self, joints: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the hand's measured joints (16,) rad."""
        self._commander.observe_hand(joints, stamp_ns)

    def aim_hand(self, joints: npt.ArrayLike, now_ns: int) -> None:
        """Take the hand's target (16,) rad that arrived at `now_ns`; engage if that has not been done.

        Without a target of the tool's the arm holds meanwhile.
        """
        if not self._engage(now_ns):
            return
        ahead_ns = self._period_ns if self._target_ns is None else now_ns - self._target_ns
        self._target_ns = now_ns
        self._commander.aim_hand(joints, now_ns + min(max(ahead_ns, self._period_ns), SLOWEST_INTERVAL_NS))

    def jog(self, velocity_rad_s: npt.ArrayLike, now_ns: int) -> None:
        """Take joint velocities (J,) rad/s that arrived at `now_ns`; engage if that has not been done."""
        if self._gripper is None:
            self._ignored_ns = now_ns
        if self._gripper is None or not self._engage(now_ns):
            return
        self._target_ns = now_ns
        self._commander.jog(velocity_rad_s, self._gripper, now_ns + JOG_NS)

    def step(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`, if any; due `contract.arm.rate_hz` times a second."""
        if self.engagement == "engaged" and now_ns - (self._target_ns or 0) > self._silence_ns:
            self._commander.hold()
            self.engagement = "holding"
        return self._commander.step(now_ns)

    def may_send(self, command: ArmCommand, now_ns: int) -> bool:
        """Return whether `command`, the last of `step`, may still be sent; to be asked right before."""
        return self._commander.may_send(command, now_ns)

    def stop(self, reason: str) -> None:
        """Stop the arm until `rearm`."""
        self._commander.stop(reason)

    def rearm(self) -> None:
        """Clear the stop; the next target engages."""
        # In this order: what the arm was doing ends here, and does not go on at the next target.
        self.finish()
        self._commander.clear()

    def shift_clock(self, by_ns: int) -> None:
        """Take note that the clock jumped: less, or more, time has passed than it says."""
        self._commander.shift_clock(by_ns)

    def finish(self, now_ns: int | None = None) -> tuple[ArmCommand, ...]:
        """Let go, and return the commands, one a period, that bring the arm to rest.

        With `now_ns` they begin where the arm is by then, if it got none for a while.
        """
        self.engagement, self._target_ns = "idle", None
        return self._commander.finish(now_ns)

    def let_go(self) -> None:
        """End in such a way that the next steps brake; the next target engages anew."""
        self.engagement, self._target_ns = "idle", None
        if self.stopped is None:
            self._commander.clear()

    def _engage(self, now_ns: int) -> bool:
        if self._measured is None or self.stopped is not None or self.yields:
            return False
        if self.engagement == "idle":
            self._commander.start(self._measured, now_ns)
        self.engagement = "engaged"
        return True

    def _has_jumped(self, measured: FloatArray, stamp_ns: int) -> bool:
        if self._measured is None:
            return False
        reachable = JUMP_RAD + JUMP_RAD_S * max(0, stamp_ns - self._measured_ns) / 1e9
        return float(np.abs(measured - self._measured).max()) > reachable
