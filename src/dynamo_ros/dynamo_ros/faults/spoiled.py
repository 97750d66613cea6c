"""A bundle whose policy can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.deployable import Acts, DecodesActions, Deployable, EmbedsImages, KnowsDemonstrations

FloatArray = npt.NDArray[np.float32]
Spoil = Callable[[FloatArray], FloatArray]
SpoilTargets = Callable[[Sequence[Target]], Sequence[Target]]


class PolicyFailedError(RuntimeError):
    """What a policy that raises raises: nothing that anybody expects."""


def sound(chunk: FloatArray) -> FloatArray:
    """Leave the chunk as it is."""
    return chunk


def not_a_number(chunk: FloatArray) -> FloatArray:
    """Return a chunk with one NaN."""
    chunk[-1, 0] = np.nan
    return chunk


def hand_not_a_number(chunk: FloatArray) -> FloatArray:
    """Return a chunk with one NaN, in what is for the hand."""
    chunk[-1, -1] = np.nan
    return chunk


def sound_targets(targets: Sequence[Target]) -> Sequence[Target]:
    """Leave the targets as they are."""
    return targets


def hand_targets_not_a_number(targets: Sequence[Target]) -> Sequence[Target]:
    """Return targets whose hand's last joint is NaN."""
    return [one._replace(hand=np.append(one.hand[:-1], np.nan)) for one in targets if one.hand is not None]


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
    """A policy of whose chunks `spoil` makes something else, and `spoil_targets` of what they decode to."""

    def __init__(self, policy: Acts) -> None:
        self._policy = policy
        self.spoil: Spoil = sound
        self.spoil_targets: SpoilTargets = sound_targets

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


class SpoiledActions:
    """What decodes the actions of a SpoiledPolicy."""

    def __init__(self, actions: DecodesActions, policy: SpoiledPolicy) -> None:
        self._actions, self._policy = actions, policy

    def decode(self, actions: FloatArray, anchor: Pose) -> Sequence[Target]:
        """Return the targets of a chunk (K, A)."""
        return self._policy.spoil_targets(self._actions.decode(actions, anchor))


class Spoiled:
    """A bundle with a SpoiledPolicy."""

    def __init__(self, bundle: Deployable) -> None:
        self.contract: Contract = bundle.contract
        self.frames: FrameSettings = bundle.frames
        self.tasks: tuple[str, ...] = bundle.tasks
        self.embedder: EmbedsImages = bundle.embedder
        self.novelty: KnowsDemonstrations | None = bundle.novelty
        self.policy = SpoiledPolicy(bundle.policy)
        self.actions: DecodesActions = SpoiledActions(bundle.actions, self.policy)
