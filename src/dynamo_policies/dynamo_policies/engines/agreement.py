"""How far an engine's features, and the actions that a policy makes of them, are from eager float32's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.engines.base import Engine, Features, Images, Shape
from dynamo_policies.observation import Pose, Target
from dynamo_policies.policies.base import Policy

COARSE = 12  # pixels of the noise that probe images are blown up from


class Deviation(NamedTuple):
    """The largest differences of two engines over some frames; of actions where a policy was asked."""

    relative: float  # of features: norm of the difference over the norm
    cosine: float  # the least
    position_mm: float = 0.0
    rotation_rad: float = 0.0
    gripper: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What may still be called the same accuracy.

    Those of actions are well below what the arm does not follow of its commands anyway: in the simulated
    kitchen 8.5 mm at the 95th percentile (docs/results.md).
    """

    relative: float = 0.02
    cosine: float = 0.9995
    position_mm: float = 1.0
    rotation_rad: float = 0.005
    gripper: float = 0.02

    def broken_by(self, found: Deviation) -> tuple[str, ...]:
        """Return what is beyond these bounds, as text."""
        texts = [
            f"{name} {getattr(found, name):.2g} > {limit:g}"
            for name, limit in vars(self).items()
            if name != "cosine" and not getattr(found, name) <= limit
        ]
        return (*texts, *([] if found.cosine >= self.cosine else [f"cosine {found.cosine:.6f}"]))


def probe_images(shape: Shape, size: int, *, count: int = 8, seed: int = 0) -> list[Images]:
    """Return `count` observations of random smooth pictures, (V, size, size, 3) each."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, shape.views, COARSE, COARSE, 3), np.uint8)
    return [
        np.stack([cv2.resize(view, (size, size), interpolation=cv2.INTER_CUBIC) for view in views]).astype(
            np.uint8, copy=False
        )
        for views in coarse
    ]


def deviation(
    engine: Engine, reference: Engine, frames: Sequence[Images], policy: Policy | None = None
) -> Deviation:
    """Return the largest differences between `engine` and `reference` over `frames`, (V, H, W, 3) each."""
    worst = Deviation(0.0, 1.0)
    for images in frames:
        given, expected = engine.features(images).reshape(-1), reference.features(images).reshape(-1)
        found = [*_of_features(given, expected), *_of_actions(given, expected, policy)]
        worst = Deviation(
            max(worst.relative, found[0]),
            min(worst.cosine, found[1]),
            *(max(pair) for pair in zip(worst[2:], found[2:], strict=True)),
        )
    return worst


def target_deviation(one: Sequence[Target], other: Sequence[Target]) -> tuple[float, float, float]:
    """Return the largest distance (mm), angle (rad) and difference of the grippers between two chunks."""
    pairs = list(zip(one, other, strict=True))
    distance = max(float(np.linalg.norm(a.pose.position - b.pose.position)) for a, b in pairs)
    angle = max(_angle(a.pose, b.pose) for a, b in pairs)
    return 1000.0 * distance, angle, max(abs(a.gripper - b.gripper) for a, b in pairs)


def _angle(one: Pose, other: Pose) -> float:
    return float(
        (Rotation.from_quat(one.quaternion) * Rotation.from_quat(other.quaternion).inv()).magnitude()
    )


def _of_features(given: Features, expected: Features) -> tuple[float, float]:
    norms = float(np.linalg.norm(given)), float(np.linalg.norm(expected))
    if not all(norms):
        return (0.0, 1.0) if norms[0] == norms[1] else (1.0, 0.0)
    return float(np.linalg.norm(given - expected)) / norms[1], float(given @ expected) / (norms[0] * norms[1])


def _of_actions(given: Features, expected: Features, policy: Policy | None) -> tuple[float, float, float]:
    if policy is None:
        return 0.0, 0.0, 0.0
    worst = np.zeros(3)
    for task in policy.record.tasks:
        pair = [_targets(policy, features, task) for features in (given, expected)]
        worst = np.maximum(worst, target_deviation(*pair))
    position_mm, rotation_rad, gripper = (float(value) for value in worst)
    return position_mm, rotation_rad, gripper


def _targets(policy: Policy, features: Features, task: str) -> Sequence[Target]:
    """Return what `policy` wants when it has seen the same features for a whole window, from the origin."""
    window: npt.NDArray[np.float32] = np.tile(features, (policy.window, 1))
    state = np.zeros((policy.window, policy.record.state_size), np.float32)
    policy.reset()
    origin = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    return policy.space.decode(policy.act(window, state, task), origin)
