"""From keys, as a terminal repeats them, to tool targets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.jogging import jogged, leashed
from dynamo_ros.core.toggle import GripperToggle

FloatArray = npt.NDArray[np.float64]

# Key -> (axis, sign); axes are x, y, z, then turns about x, y, z, all of the base frame. The operator stands
# behind the robot: x is away from the base, y to its left.
MOTIONS: Mapping[str, tuple[int, float]] = {
    "w": (0, 1.0),
    "s": (0, -1.0),
    "a": (1, 1.0),
    "d": (1, -1.0),
    "r": (2, 1.0),
    "f": (2, -1.0),
    "u": (3, 1.0),
    "o": (3, -1.0),
    "i": (4, 1.0),
    "k": (4, -1.0),
    "j": (5, 1.0),
    "l": (5, -1.0),
}
GRIPPER = " "
SCALES: Mapping[str, float] = {"+": 1.25, "=": 1.25, "-": 0.8}
SLOWEST, FASTEST = 0.1, 2.0  # bounds of the speed scale
HELP = (
    "hold a key to move, release it to stop: w/s x, a/d y, r/f z, u/o i/k j/l turn about x y z; "
    "space gripper; +/- faster, slower; Ctrl-C ends"
)
# Terminals repeat a held key some 30 times a second, so 0.2 s without one means that it was released.
SILENCE_S = 0.2
# A held key's first repetition comes after up to 0.66 s (X.Org); until then another space is the same one.
GRIPPER_REPEAT_S = 0.7


class KeyboardMapping:
    """Integrates held keys into a target; the repetition of keys is the deadman.

    `silence_s` after the last key there is no target and nothing moves, whether the key was released, the
    terminal hangs or the connection is lost. The next key starts at the tool's measured pose. The target
    stays near the measured tool (`jogging.LEASH_M`). The gripper stays as it was last told. Because a
    terminal waits before it repeats a key, a held key moves a little, pauses, and goes on.
    """

    def __init__(self, *, speed_m_s: float, turn_rad_s: float, silence_s: float = SILENCE_S) -> None:
        self._speeds = np.repeat([speed_m_s, turn_rad_s], 3)
        self._silence_ns = round(silence_s * 1e9)
        self._signs: FloatArray = np.zeros(6)
        self._until_ns = np.zeros(6, np.int64)  # how long each axis goes on
        self._heard_ns: int | None = None
        self._space_ns: int | None = None
        self._stepped_ns = 0
        self._gripper = GripperToggle()
        self._pose: Pose | None = None
        self.scale = 1.0

    def key(self, key: str, now_ns: int) -> None:
        """Take one key that arrived at `now_ns`; keys without a meaning do nothing."""
        if key in SCALES:
            self.scale = float(np.clip(self.scale * SCALES[key], SLOWEST, FASTEST))
        elif key == GRIPPER:
            self._space(now_ns)
        elif key in MOTIONS:
            axis, self._signs[axis] = MOTIONS[key]
            self._until_ns[axis] = now_ns + self._silence_ns
            self._heard_ns = now_ns

    def step(self, measured: Pose, now_ns: int, *, gripper_closed: bool = False) -> Target | None:
        """Return the target for `now_ns`, None without a key; `gripper_closed` counts before the first."""
        if self._heard_ns is None or not 0 <= now_ns - self._heard_ns <= self._silence_ns:
            self._pose = None
            return None
        if self._pose is None:
            self._pose, self._stepped_ns = measured, now_ns
        self._pose = leashed(self._moved(self._pose, now_ns), measured)
        self._stepped_ns = now_ns
        return Target(self._pose, self._gripper.step(measured_closed=gripper_closed))

    def _space(self, now_ns: int) -> None:
        repeated = self._space_ns is not None and 0 <= now_ns - self._space_ns < GRIPPER_REPEAT_S * 1e9
        if not repeated:
            self._gripper.press()
        self._space_ns = self._heard_ns = now_ns

    def _moved(self, pose: Pose, now_ns: int) -> Pose:
        lasted_ns = np.clip(np.minimum(self._until_ns, now_ns) - self._stepped_ns, 0, None)
        step = self._signs * self._speeds * self.scale * lasted_ns / 1e9
        return jogged(pose, step[:3], step[3:])
