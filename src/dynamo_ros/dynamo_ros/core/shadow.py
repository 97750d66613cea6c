"""A policy in the shadow of whoever commands: how far apart the two are, now and over the last while."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.divergence import Apart, target_apart


class Summary(NamedTuple):
    """What came since the last summary."""

    wishes: int  # of the policy
    compared: int  # of these, while somebody commanded
    last: Apart | None
    median: Apart | None
    most: Apart | None


class Shadow:
    """Compares each target that the policy wishes with the newest one commanded, if that is young enough."""

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._commanded: tuple[Pose, int] | None = None
        self._gripper = 0.0
        self._wishes = 0
        self._apart: list[Apart] = []

    def commanded(self, pose: Pose, stamp_ns: int) -> None:
        """Take what was commanded of the tool."""
        self._commanded = pose, stamp_ns

    def gripped(self, gripper: float) -> None:
        """Take what was commanded of the gripper, 0 open to 1 closed."""
        self._gripper = gripper

    def wished(self, target: Target, stamp_ns: int) -> Apart | None:
        """Return how far `target` is from what was commanded; None where nobody commands."""
        self._wishes += 1
        if self._commanded is None or abs(stamp_ns - self._commanded[1]) > self._max_age_ns:
            return None
        apart = target_apart(target, Target(self._commanded[0], self._gripper))
        self._apart.append(apart)
        return apart

    def take_summary(self) -> Summary:
        """Return the differences since this was last called."""
        wishes, found = self._wishes, self._apart
        self._wishes, self._apart = 0, []
        if not found:
            return Summary(wishes, 0, None, None, None)
        values = np.array(found)
        median, most = (Apart(*map(float, row)) for row in (np.median(values, axis=0), values.max(axis=0)))
        return Summary(wishes, len(found), found[-1], median, most)
