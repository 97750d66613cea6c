"""The values that cross borders: a decoded sample, an observation at a tick, a pose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Sample(NamedTuple):
    """One decoded message of one stream.

    `value` is (H, W, 3) uint8 RGB for images, (J,) float64 in contract order for joints (rad or m), and (7,)
    float64 x y z (m) qx qy qz qw for poses.
    """

    stream: str
    stamp_ns: int
    value: npt.NDArray[np.uint8] | npt.NDArray[np.float64]


class Observation(NamedTuple):
    """What the robot saw at one tick.

    `valid` is false where a stream has no sample yet or only one older than its maximum age; `stale` names
    those streams. The images and the state of an invalid observation hold the last values known, for display
    only: nothing may act on them.
    """

    tick_ns: int
    images: dict[str, npt.NDArray[np.uint8]]  # camera -> (H, W, 3) RGB, at the size of the decode settings
    state: npt.NDArray[np.float32]  # (S,) in the order of contract.state_names, SI units
    stale: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether every observed stream was fresh at the tick."""
        return not self.stale


class Pose(NamedTuple):
    """A tool pose in the base frame."""

    position: npt.NDArray[np.float64]  # (3,) m
    quaternion: npt.NDArray[np.float64]  # (4,) x y z w, unit norm


class Target(NamedTuple):
    """Where the tool and the gripper should be: what a person or a policy commands.

    `gripper` runs from 0 (open) to 1 (closed); it is 0 where there is none. `hand` is (16,) rad in the order
    of contract.hand.joints, None where there is no hand or nothing is wanted of it.
    """

    pose: Pose
    gripper: float
    hand: FloatArray | None = None


class Nearest(NamedTuple):
    """The demonstrated observation that is most like a given one."""

    place: int  # among those that are kept
    ratio: float  # how new the given one is; above 1 it is like none
