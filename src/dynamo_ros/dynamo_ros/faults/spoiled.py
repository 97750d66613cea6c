"""A bundle whose policy can be made to fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_ros.core.deployable import Acts, DecodesActions, Deployable, EmbedsImages, KnowsDemonstrations

FloatArray = npt.NDArray[np.float32]
Spoil = Callable[[FloatArray], FloatArray]


class PolicyFailedError(RuntimeError):
    """What a policy that raises raises: nothing that anybody expects."""


def sound(chunk: FloatArray) -> FloatArray:
    """Leave the chunk as it is."""
    return chunk


def not_a_number(chunk: FloatArray) -> FloatArray:
    """Return a chunk with one NaN."""
    chunk[-1, 0] = np.nan
    return chunk


def no_actions(chunk: FloatArray) -> FloatArray:
    """Return a chunk of no actions."""
    return chunk[:0]


def raising(_chunk: FloatArray) -> FloatArray:
    """Fail as a policy does that has a bug."""
    raise PolicyFailedError("an index was out of range")


def wild() -> Spoil:
    """Return what sends the tool far away, every time elsewhere."""
    random = np.random.default_rng(0)
    return lambda chunk: (chunk + random.normal(scale=3.0, size=chunk.shape)).astype(np.float32)


class SpoiledPolicy:
    """A policy of whose chunks `spoil` makes something else."""

    def __init__(self, policy: Acts) -> None:
        self._policy = policy
        self.spoil: Spoil = sound

    @property
    def window(self) -> int:
        """How many observations it looks at."""
        return self._policy.window

    def reset(self) -> None:
        """Forget what was seen."""
        self._policy.reset()

    def act(self, features: FloatArray, state: FloatArray, task: str) -> FloatArray:
        """Return a chunk (K, A)."""
        return self.spoil(self._policy.act(features, state, task))


class Spoiled:
    """A bundle with a SpoiledPolicy."""

    def __init__(self, bundle: Deployable) -> None:
        self.contract: Contract = bundle.contract
        self.frames: FrameSettings = bundle.frames
        self.tasks: tuple[str, ...] = bundle.tasks
        self.embedder: EmbedsImages = bundle.embedder
        self.actions: DecodesActions = bundle.actions
        self.novelty: KnowsDemonstrations | None = bundle.novelty
        self.policy = SpoiledPolicy(bundle.policy)
