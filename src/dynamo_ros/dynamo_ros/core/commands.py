"""What a Commander gives: commands, and why there are none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Target

FloatArray = npt.NDArray[np.float64]
StopKind = str  # what stopped: a limit, a gate (dynamo_ros.core.gate_board), or "requested"


class StopReason(NamedTuple):
    """Why the arm was stopped."""

    kind: StopKind
    text: str
    at_ns: int


class StoppedError(DynamoError):
    """A command was asked for while the stop is latched, or before the start."""


class ArmCommand(NamedTuple):
    """One command, after every limit."""

    joints: FloatArray  # (J,) rad, in the order of contract.arm.joints
    target: Target  # where `joints` put the tool; the gripper is 0 or 1 once a clear wish has come
    gripper: float | None  # a goal for the gripper's driver, None where nothing changes
    clipped: tuple[str, ...]  # the limits that were applied, by name
    braking: (
        FloatArray  # (N, J) rad: the periods after it in which the joints come to rest, if no other follows
    )
    hand: FloatArray | None = None  # (16,) rad in the order of contract.hand.joints, None: nothing is due
