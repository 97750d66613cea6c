"""How far what a policy would command is from what somebody else commands, at the same time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.observation import Target
from dynamo_ros.core.slow import apart

FloatArray = npt.NDArray[np.float64]
COUNTED = ("median", "p95", "max")


class Apart(NamedTuple):
    """The difference of two targets; NaN for what one of them does not tell."""

    metres: float
    radians: float
    gripper: float  # 0 to 1, of the gripper's way
    hand: float  # rad, of the hand's joint that is farthest off


class Targets(NamedTuple):
    """Targets over time, N of them, by rising stamps."""

    stamps_ns: npt.NDArray[np.int64]  # (N,)
    position: FloatArray  # (N, 3) m
    quaternion: FloatArray  # (N, 4) x y z w
    gripper: FloatArray  # (N,) 0 open to 1 closed; NaN where there is no gripper
    hand: FloatArray  # (N, H) rad, NaN where none was due; H is 0 without a hand


class Divergence(NamedTuple):
    """The differences at the times at which both have a target, M of them."""

    stamps_ns: npt.NDArray[np.int64]  # (M,)
    metres: FloatArray  # (M,)
    radians: FloatArray  # (M,)
    gripper: FloatArray  # (M,) 0 to 1; NaN where there is no gripper
    hand: FloatArray  # (M,) rad, of the joint that is farthest off; NaN where not both have one

    def figures(self) -> dict[str, float]:
        """Return median, 95 % and most of the differences; empty where there are none."""
        if not len(self.stamps_ns):
            return {}
        found: dict[str, float] = {}
        hand = self.hand[np.isfinite(self.hand)]
        for name, values in (("position m", self.metres), ("rotation rad", self.radians), ("hand rad", hand)):
            if len(values):
                quantiles = np.percentile(values, [50, 95, 100])
                found |= {
                    f"{name} {which}": float(one) for which, one in zip(COUNTED, quantiles, strict=True)
                }
        if np.isfinite(self.gripper).all():
            found["gripper elsewhere share"] = float((self.gripper > 0.5).mean())
        return found


def target_apart(wished: Target, commanded: Target) -> Apart:
    """Return how far two targets are from each other."""
    hand = np.nan
    if wished.hand is not None and commanded.hand is not None:
        hand = float(np.abs(wished.hand - commanded.hand).max())
    return Apart(*apart(wished.pose, commanded.pose), abs(wished.gripper - commanded.gripper), hand)


def divergence(wished: Targets, commanded: Targets, *, max_age_ns: int) -> Divergence:
    """Compare `wished` with the newest of `commanded` at the time, none older than `max_age_ns`."""
    place = np.searchsorted(commanded.stamps_ns, wished.stamps_ns, side="right") - 1
    both = place >= 0
    both[both] &= wished.stamps_ns[both] - commanded.stamps_ns[place[both]] <= max_age_ns
    theirs, stamps = place[both], wished.stamps_ns[both]
    metres = np.linalg.norm(wished.position[both] - commanded.position[theirs], axis=1)
    gripper = np.abs(wished.gripper[both] - commanded.gripper[theirs])
    hand = _farthest(wished.hand[both] - commanded.hand[theirs])
    if not len(stamps):
        return Divergence(stamps, metres, np.zeros(0), gripper, hand)
    turned = (
        Rotation.from_quat(wished.quaternion[both]) * Rotation.from_quat(commanded.quaternion[theirs]).inv()
    )
    return Divergence(stamps, metres, turned.magnitude(), gripper, hand)


def _farthest(differences: FloatArray) -> FloatArray:
    """Return the largest of each row's (M, H) differences, whichever sign it has; NaN where H is 0."""
    if not differences.shape[1]:
        return np.full(len(differences), np.nan)
    return np.asarray(np.abs(differences).max(axis=1))
