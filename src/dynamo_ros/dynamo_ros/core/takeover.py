"""A person's targets in mid-run: they go before the policy's while they keep coming."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target

Holder = Literal["nobody", "policy", "person"]
# A target is aimed at for one interval between targets ahead, within a command's period and this.
SLOWEST_INTERVAL_NS = 100_000_000


class Aim(NamedTuple):
    """Where the tool should be, and when."""

    target: Target
    at_ns: int


class Takeover:
    """Knows whether a person leads, and where to."""

    def __init__(self, contract: Contract) -> None:
        its = contract.gates.takeover
        self._possible, self._silence_ns = its.possible, int(its.silence_ms * 1e6)
        self._period_ns = contract.arm.period_ns
        # A robot without a gripper waits for no wish of one.
        self._no_wish = None if contract.gripper is not None else 0.0
        self._came_ns = self._interval_ns = 0
        self._gripper: float | None = self._no_wish
        self._pose: Pose | None = None
        self._hand: npt.NDArray[np.float64] | None = None

    def wish(self, gripper: float) -> None:
        """Take the gripper's target, 0 open to 1 closed; nobody leads before the first one."""
        self._gripper = gripper

    def aim(self, pose: Pose, now_ns: int) -> None:
        """Take the tool's target that arrived at `now_ns`."""
        self._interval_ns = now_ns - self._came_ns if self._pose is not None else 0
        self._pose, self._came_ns = pose, now_ns

    def aim_hand(self, joints: npt.ArrayLike, _now_ns: int) -> None:
        """Take the hand's target (16,) rad; it counts while the tool's targets keep coming."""
        self._hand = np.asarray(joints, np.float64)

    def forget(self) -> None:
        """Let nobody lead before the next targets."""
        self._pose = self._hand = None
        self._gripper = self._no_wish

    def lead(self, now_ns: int) -> Aim | None:
        """Return where a person wants the tool now; None where nobody leads."""
        if not self._possible or self._pose is None or self._gripper is None:
            return None
        if not 0 <= now_ns - self._came_ns <= self._silence_ns:
            self._pose = None
            return None
        ahead_ns = min(max(self._interval_ns, self._period_ns), SLOWEST_INTERVAL_NS)
        return Aim(Target(self._pose, self._gripper, self._hand), self._came_ns + ahead_ns)
