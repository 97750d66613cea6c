"""What a driver of joints says at a moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class JointReading(NamedTuple):
    """The content of one sensor_msgs/JointState: rad, rad/s, Nm; NaN where the driver knows nothing."""

    names: tuple[str, ...]
    positions: FloatArray  # (N,)
    velocities: FloatArray  # (N,)
    efforts: FloatArray  # (N,)
