"""A policy in the shadow of whoever commands: how far apart the two are, now and over the last while."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dynamo_policies.observation import FloatArray, Pose, Target
from dynamo_ros.core.divergence import Apart, target_apart


class Summary(NamedTuple):
    """What came since the last summary."""

    wishes: int  # of the policy
    compared: int  # of these, while somebody commanded
    last: Apart | None
    median: Apart | None  # of each part by itself, as `most` is
    most: Apart | None


class Shadow:
    """Compares each target that the policy wishes with the newest one commanded, if that is young enough.

    What was commanded of the tool may be `max_age_ns` old, what was commanded of a hand `hand_max_age_ns`.
    """

    def __init__(self, max_age_ns: int, hand_max_age_ns: int = 0) -> None:
        self._max_age_ns, self._hand_max_age_ns = max_age_ns, hand_max_age_ns
        self._commanded: tuple[Pose, int] | None = None
        self._hand: tuple[FloatArray, int] | None = None
        self._gripper = np.nan
        self._wishes = 0
        self._apart: list[Apart] = []

    def commanded(self, pose: Pose, stamp_ns: int) -> None:
        """Take what was commanded of the tool."""
        self._commanded = pose, stamp_ns

    def gripped(self, gripper: float) -> None:
        """Take what was commanded of the gripper, 0 open to 1 closed."""
        self._gripper = gripper

    def handed(self, joints: FloatArray, stamp_ns: int) -> None:
        """Take what was commanded of the hand, (16,) rad in the order of contract.hand.joints."""
        self._hand = joints, stamp_ns

    def wished(self, target: Target, stamp_ns: int) -> Apart | None:
        """Return how far `target` is from what was commanded; None where nobody commands."""
        self._wishes += 1
        if self._commanded is None or abs(stamp_ns - self._commanded[1]) > self._max_age_ns:
            return None
        hand = None
        if self._hand is not None and abs(stamp_ns - self._hand[1]) <= self._hand_max_age_ns:
            hand = self._hand[0]
        apart = target_apart(target, Target(self._commanded[0], self._gripper, hand))
        self._apart.append(apart)
        return apart

    def take_summary(self) -> Summary:
        """Return the differences since this was last called."""
        wishes, found = self._wishes, self._apart
        self._wishes, self._apart = 0, []
        if not found:
            return Summary(wishes, 0, None, None, None)
        return Summary(wishes, len(found), found[-1], _each(np.median, found), _each(np.max, found))


def _each(which: Callable[[FloatArray], np.float64], found: list[Apart]) -> Apart:
    """Return `which` of each part, of those differences that have it; NaN where none has."""
    told = [column[~np.isnan(column)] for column in np.array(found).T]
    return Apart(*(float(which(column)) if len(column) else np.nan for column in told))
