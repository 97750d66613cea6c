"""Demonstrating by hand: what the arm is led to counts as what was commanded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Target
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.free_drive import FreeDrive
from dynamo_ros.core.gripper import GripperTrigger
from dynamo_ros.core.joy_mapping import is_closed

FloatArray = npt.NDArray[np.float64]


class Label(NamedTuple):
    """What to record as commanded, and what to tell the gripper's driver."""

    target: Target  # the measured tool pose; gripper 0 open or 1 closed
    gripper: float | None  # a goal for the driver, None where nothing changes


class Kinesthetic:
    """Labels the measured pose while the arm is hand-guided; nothing is commanded but the gripper.

    It ends when joint states are older than `contract.arm.stale_stop_s`, or when someone commands the arm.
    """

    def __init__(self, contract: Contract, *, return_mode: int = 1) -> None:
        self.drive = FreeDrive(return_mode=return_mode)
        self._forward = Commander(contract).forward
        self._stale_ns = round(contract.arm.stale_stop_s * 1e9)
        self._max_age_ns = contract.streams[contract.arm_stream].max_age_ns or self._stale_ns
        self._sink = contract.need_gripper("kinesthetic teaching")
        self._gripper = GripperTrigger(self._sink)
        self._joints: FloatArray | None = None
        self._joints_ns = 0
        self._closed = False
        self._wish: float | None = None

    def observe(self, joints: npt.ArrayLike, stamp_ns: int) -> None:
        """Take note of the measured joints (J,) rad."""
        measured = np.asarray(joints, np.float64)
        if np.isfinite(measured).all():
            self._joints, self._joints_ns = measured, stamp_ns

    def observe_gripper(self, position: float) -> None:
        """Take note of the gripper's position, in its driver's unit; it counts until the first wish."""
        self._closed = is_closed(self._sink, position)

    def wish(self, gripper: float) -> None:
        """Take the gripper's target, 0 open to 1 closed."""
        self._wish = gripper

    def commanded(self) -> None:
        """Take note that someone commanded the arm."""
        if self.drive.state in ("entering", "free"):
            self.drive.end("the arm was commanded while it was hand-guided")

    def step(self, now_ns: int) -> Label | None:
        """Return the label for `now_ns`, None unless the arm is free and speaks."""
        if self.drive.state != "free" or self._joints is None:
            return None
        age_ns = now_ns - self._joints_ns
        if age_ns > self._stale_ns:
            self.drive.end(f"no joint positions of the arm for {age_ns / 1e9:.2f} s")
        if age_ns > self._max_age_ns:
            return None
        goal = None if self._wish is None else self._gripper.goal(self._wish, now_ns)
        closed = self._closed if self._gripper.closed is None else self._gripper.closed
        return Label(Target(self._forward(self._joints), float(closed)), goal)
