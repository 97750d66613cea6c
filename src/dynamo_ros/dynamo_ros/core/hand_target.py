"""What a message asks of a hand, picked by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError
from dynamo_policies.hand_sink import HandSink


class HandTargetError(DynamoError):
    """A message is no target for the robot's hand."""


def hand_joints(
    hand: HandSink | None, names: Sequence[str], positions: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return the positions (16,) rad in the order of `hand.joints`, whatever the order of `names`.

    Raises:
        HandTargetError: the robot has no hand, a joint is missing, or there is one that it has not.
    """
    if hand is None:
        raise HandTargetError("the contract has no hand")
    if len(positions) != len(names) or sorted(names) != sorted(hand.joints):
        raise HandTargetError(
            f"names {list(names)} with {len(positions)} positions given; each of {list(hand.joints)} is "
            "needed once, in any order"
        )
    named = dict(zip(names, positions, strict=True))
    return np.array([named[name] for name in hand.joints], np.float64)
