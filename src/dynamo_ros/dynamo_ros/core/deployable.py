"""What is deployed, as far as acting needs it; dynamo_policies.bundle.Bundle is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.observation import Nearest, Pose, Target

FloatArray = npt.NDArray[np.float32]


class EmbedsImages(Protocol):
    """What turns the images of one observation into features."""

    def embed(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> FloatArray:
        """Return the features (F,) of `images`, (H, W, 3) uint8 RGB by camera name."""


class Acts(Protocol):
    """A policy."""

    @property
    def window(self) -> int:
        """How many observations it looks at."""

    def reset(self) -> None:
        """Forget what was seen; called before each episode."""

    def act(self, features: FloatArray, state: FloatArray, task: str) -> FloatArray:
        """Return a chunk (K, A) for features (W, F) and state (W, S), oldest first."""


class DecodesActions(Protocol):
    """What turns a chunk into targets in the base frame."""

    def decode(self, actions: FloatArray, anchor: Pose) -> Sequence[Target]:
        """Return the targets of a chunk (K, A); `anchor` is the pose measured at the chunk's tick."""


class KnowsDemonstrations(Protocol):
    """What tells how far an observation is from all that was demonstrated."""

    def nearest(self, features: FloatArray) -> Nearest:
        """Return the demonstrated observation nearest to features (F,)."""

    def picture(self, place: int) -> npt.NDArray[np.uint8]:
        """Return the cameras' images of a demonstrated observation, (H, W, 3) RGB, side by side."""


class Deployable(Protocol):
    """What a bundle holds, as far as it is needed to act."""

    @property
    def contract(self) -> Contract:
        """The robot that it was made for."""

    @property
    def frames(self) -> FrameSettings:
        """How camera images become the encoder's input."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that it was made for."""

    @property
    def embedder(self) -> EmbedsImages:
        """Its frozen encoder."""

    @property
    def policy(self) -> Acts:
        """Its policy."""

    @property
    def actions(self) -> DecodesActions:
        """What its actions mean."""

    @property
    def novelty(self) -> KnowsDemonstrations | None:
        """What it was demonstrated; None in a bundle from before this was kept."""
