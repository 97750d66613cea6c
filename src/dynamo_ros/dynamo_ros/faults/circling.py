"""A bundle without networks that keeps an arm moving: its tool goes round a circle for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Nearest, Pose, Target

RADIUS_M, SPEED_M_S, HORIZON = 0.06, 0.1, 10
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
    """Says how far round to go with each action, rad."""

    window = 1

    def __init__(self, step_rad: float) -> None:
        self._chunk = (step_rad * np.arange(1, HORIZON + 1, dtype=np.float32))[:, None]

    def reset(self) -> None:
        """Do nothing."""

    def act(
        self, _features: npt.NDArray[np.float32], _state: npt.NDArray[np.float32], _task: str
    ) -> npt.NDArray[np.float32]:
        """Return the chunk (HORIZON, 1)."""
        return self._chunk.copy()


class OnCircle:
    """Takes an action as an angle to go round from where the tool is, on a level circle through `start`."""

    def __init__(self, start: Pose) -> None:
        self._start, self._centre = start, start.position + np.array([0.0, RADIUS_M, 0.0])

    def decode(self, actions: npt.NDArray[np.float32], anchor: Pose) -> list[Target]:
        """Return the targets of (K, 1) angles."""
        x, y, _ = anchor.position - self._centre
        angles = np.arctan2(y, x) + actions[:, 0].astype(np.float64)
        places = self._centre + RADIUS_M * np.stack(
            [np.cos(angles), np.sin(angles), np.zeros(len(angles))], axis=1
        )
        return [Target(Pose(place, self._start.quaternion), 0.0) for place in places]


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
        self.policy = Round(SPEED_M_S / RADIUS_M * self.contract.period_ns / 1e9)
        self.actions = OnCircle(Pose(tool, np.array(self.contract.reference_rotation)))
