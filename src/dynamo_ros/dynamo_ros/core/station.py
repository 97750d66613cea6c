"""What a station is to those who run tasks on it: a robot, its surroundings, a judge and a clock."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dynamo_policies.observation import Pose, Sample

FloatArray = npt.NDArray[np.float64]


class StationOutcome(NamedTuple):
    """What the station's judge says about the current rollout."""

    task: str
    success: bool
    done: bool  # success, failure or time limit
    reason: str  # why it is done, or an empty string
    elapsed_s: float  # since the reset


@runtime_checkable
class HandStation(Protocol):
    """What a station with a hand has besides."""

    def command_hand(self, positions: npt.ArrayLike) -> None:
        """Send the hand to positions (16,), rad, in the order of contract.hand.joints."""


class Station(Protocol):
    """A simulated station, or anything that acts like one. See `dynamo_sim` for those there are."""

    @property
    def time_ns(self) -> int:
        """The station's clock, nanoseconds; it never goes back, over resets neither."""

    def reset(self, task: str, seed: int) -> None:
        """Put everything into the start state `seed` of `task`; the arm then holds where it is."""

    def advance(self, until_ns: int) -> list[Sample]:
        """Let time pass, not beyond `until_ns`; return what was measured meanwhile, in order of stamps."""

    def command_arm(self, positions: npt.ArrayLike, times_s: npt.ArrayLike) -> None:
        """Replace the arm's trajectory: joint positions (N, J), rad, at times (N,), s from now."""

    def command_gripper(self, position: float) -> None:
        """Send the gripper to `position`, in the unit of the contract's gripper sink."""

    def outcome(self) -> StationOutcome:
        """Return the judgement at this moment."""

    def objects(self) -> dict[str, Pose]:
        """Return where things really are, for scripted experts and tests; policies must not look."""

    def close(self) -> None:
        """Free what the station holds."""
