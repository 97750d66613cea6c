"""A bundle without networks that keeps an arm moving: its tool goes round a circle for ever.

A hand's joints swing meanwhile, once in each round, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.hand_sink import JOINTS, HandSink
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Nearest, Pose, Target

RADIUS_M, SPEED_M_S, HORIZON = 0.06, 0.1, 10
SWING = 0.5  # of half the way between a hand joint's limits
GREY, USUAL = 127.5, 20.0  # the mean of the images that it knows, and how far from it they are at most
READY = {
    "xarm7": (0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0),
    "fr3": (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785),
}


class MeanColour:
    """Embeds each camera as its mean colour."""

    def embed(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return (3 V,) features."""
        return np.concatenate([image.mean(axis=(0, 1)) for image in images.values()]).astype(np.float32)


class Round:
    """Says how far round to go with each action, rad: the tool, and as many other `parts`."""

    window = 1

    def __init__(self, step_rad: float, *, parts: int) -> None:
        self._chunk = np.tile(step_rad * np.arange(1, HORIZON + 1, dtype=np.float32)[:, None], (1, 1 + parts))

    def reset(self) -> None:
        """Do nothing."""

    def act(
        self, _features: npt.NDArray[np.float32], _state: npt.NDArray[np.float32], _task: str
    ) -> npt.NDArray[np.float32]:
        """Return the chunk (HORIZON, 1 + parts)."""
        return self._chunk.copy()


class OnCircle:
    """Takes an action as an angle to go round from where the tool is, on a level circle through `start`.

    With a hand there is another angle, by which the hand's swing is told in the same way.
    """

    def __init__(self, start: Pose, hand: HandSink | None = None) -> None:
        self._start, self._centre = start, start.position + np.array([0.0, RADIUS_M, 0.0])
        self._hand = hand

    def decode(self, actions: npt.NDArray[np.float32], anchor: Pose) -> list[Target]:
        """Return the targets of (K, 1) angles, or of (K, 2) with a hand."""
        x, y, _ = anchor.position - self._centre
        angles = np.arctan2(y, x) + actions.astype(np.float64)
        places = self._centre + RADIUS_M * np.stack(
            [np.cos(angles[:, 0]), np.sin(angles[:, 0]), np.zeros(len(angles))], axis=1
        )
        poses = [Pose(place, self._start.quaternion) for place in places]
        if self._hand is None:
            return [Target(pose, 0.0) for pose in poses]
        return [
            Target(pose, 0.0, swung(self._hand, angle))
            for pose, angle in zip(poses, angles[:, -1], strict=True)
        ]


def swung(hand: HandSink, angle: float) -> npt.NDArray[np.float64]:
    """Return the hand's joints (16,) rad at an angle of the circle."""
    lower, upper = np.array(hand.lower_rad), np.array(hand.upper_rad)
    phases = angle + 2.0 * np.pi * np.arange(JOINTS) / JOINTS  # no two turn at the same time
    found: npt.NDArray[np.float64] = (lower + upper + SWING * np.sin(phases) * (upper - lower)) / 2.0
    return found


class GreyWorld:
    """Knows images that are grey on the average."""

    def nearest(self, features: npt.NDArray[np.float32]) -> Nearest:
        """Return how far the least grey camera is from grey, in units of what is usual."""
        return Nearest(0, float(np.abs(features - GREY).max()) / USUAL)

    def picture(self, _place: int) -> npt.NDArray[np.uint8]:
        """Return a grey image."""
        return np.full((8, 8, 3), round(GREY), np.uint8)


@dataclass
class Circling:
    """The bundle, for any contract whose arm's kinematics READY has."""

    contract: Contract

    def __post_init__(self) -> None:
        joints = READY[self.contract.kinematics]
        tool = chain(self.contract.kinematics).forward(joints, tool_offset_m=self.contract.tool_offset_m)[0]
        self.tasks, self.frames = tuple(self.contract.tasks), FrameSettings(size=8)
        self.embedder, self.novelty = MeanColour(), GreyWorld()
        hand, step_rad = self.contract.hand, SPEED_M_S / RADIUS_M * self.contract.period_ns / 1e9
        self.policy = Round(step_rad, parts=0 if hand is None else 1)
        self.actions = OnCircle(Pose(tool, np.array(self.contract.reference_rotation)), hand)
