"""A hand that leads an arm in gravity compensation: a soft spring from the tool to a pose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.observation import Pose
from dynamo_ros.core.steps import pose_way, shorten

FloatArray = npt.NDArray[np.float64]

STIFFNESS_N_M, TURN_STIFFNESS_NM_RAD = 1500.0, 60.0
# As much as a person pushes without effort; the joints' friction makes a slow motion of it.
MOST_N, MOST_NM = 80.0, 15.0


def leading_wrench(tool: Pose, wanted: Pose) -> FloatArray:
    """Return the force in N and the torque in Nm, (6,) in the base frame, of a hand on the tool."""
    way = pose_way(tool, wanted)
    force = shorten(STIFFNESS_N_M * way[:3], MOST_N)
    return np.concatenate([force, shorten(TURN_STIFFNESS_NM_RAD * way[3:], MOST_NM)])
