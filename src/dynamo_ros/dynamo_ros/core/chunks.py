"""Blends overlapping chunks of a policy into one target for a time.

Each tick's chunk predicts the targets of the next K periods, so a time is predicted by up to K chunks. Their
uniform mean is the temporal ensembling of ACT (arXiv 2304.13705, section IV-B) with weight decay 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from dynamo_policies.observation import Pose, Target
from dynamo_policies.quaternions import mean


class ChunkBlender:
    """Keeps what recent chunks say about the future.

    The k-th target of the chunk of tick t is for t + (k+1) periods.
    """

    def __init__(self, period_ns: int, *, horizon: int | None = None) -> None:
        self._period_ns, self._horizon = period_ns, horizon
        self._targets: defaultdict[int, list[Target]] = defaultdict(list)
        self._means: dict[int, Target] = {}

    def add(self, tick_ns: int, targets: Sequence[Target]) -> None:
        """Take the chunk of `tick_ns`, finite targets; those past the horizon are left out."""
        self._means.clear()
        for k, target in enumerate(targets[: self._horizon]):
            self._targets[tick_ns + (k + 1) * self._period_ns].append(target)

    def at(self, time_ns: int) -> Target | None:
        """Return the mean of what was predicted for `time_ns`, if anything; forget earlier times."""
        for past in [time for time in self._targets if time < time_ns]:
            del self._targets[past]
        if time_ns not in self._means and time_ns in self._targets:
            # Asked for with each command, and the same until the next plan.
            self._means = {time_ns: mean_target(self._targets[time_ns])}
        return self._means.get(time_ns)

    def clear(self) -> None:
        """Forget everything: between episodes, and when what was predicted holds no longer."""
        self._targets.clear()
        self._means.clear()


def mean_target(targets: Sequence[Target]) -> Target:
    """Return the mean of at least one target: of positions, rotations (chordal), grippers and hands."""
    rows = np.array([[*target.pose.position, target.gripper] for target in targets])
    *position, gripper = (rows.sum(axis=0) / len(rows)).tolist()
    quaternion = mean([target.pose.quaternion for target in targets])
    hands = [target.hand for target in targets if target.hand is not None]
    hand = np.mean(hands, axis=0) if hands else None
    return Target(Pose(np.array(position), quaternion), gripper, hand)
