"""The last observations, as a policy reads them."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class Frame(NamedTuple):
    """What is kept of one observation for the windows of the next ones."""

    tick_ns: int
    features: FloatArray  # (F,)
    state: FloatArray  # (S,)


class Window:
    """The newest `size` frames of an episode, one a tick.

    At the beginning of an episode the first frame is repeated, as in training; ticks that were missed repeat
    the frame before them.
    """

    def __init__(self, size: int, period_ns: int) -> None:
        self._size, self._period_ns = size, period_ns
        self._frames: deque[Frame] = deque(maxlen=size)

    def add(self, frame: Frame) -> tuple[FloatArray, FloatArray]:
        """Append `frame` and return the features (W, F) and the states (W, S), the newest last."""
        if self._frames:
            last = self._frames[-1]
            missed = (frame.tick_ns - last.tick_ns) // self._period_ns - 1
        else:
            last, missed = frame, self._size - 1
        self._frames.extend([last] * min(missed, self._size))
        self._frames.append(frame)
        return np.stack([one.features for one in self._frames]), np.stack([one.state for one in self._frames])
