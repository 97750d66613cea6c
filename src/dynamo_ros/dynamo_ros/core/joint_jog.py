"""Joint velocities by name, as control_msgs/JointJog has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import DynamoError, UnknownNameError


class JogError(DynamoError):
    """A jog message can't be followed; nothing of it is used."""


def jog_velocities(
    joints: Sequence[str], names: Sequence[str], velocities: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return the velocities (J,) rad/s of `joints`; those not named are 0.

    Displacements are no part of a jog, as in MoveIt Servo.

    Raises:
        JogError: a name is unknown or given twice, or names and velocities differ in number.
    """
    if len(names) != len(velocities) or len(set(names)) != len(names):
        raise JogError(
            f"a jog of {list(names)} has {len(velocities)} velocities; one for each name is needed"
        )
    found = np.zeros(len(joints))
    for name, velocity in zip(names, velocities, strict=True):
        if name not in joints:
            raise JogError(str(UnknownNameError("joint", name, joints)))
        found[joints.index(name)] = velocity
    return found
