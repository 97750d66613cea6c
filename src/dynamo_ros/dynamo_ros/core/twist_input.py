"""From twists of the tool, as joysticks and visual servoing give them, to tool targets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Pose
from dynamo_ros.core.jogging import leashed
from dynamo_ros.core.steps import pose_after, shorten

FloatArray = npt.NDArray[np.float64]

# A twist lasts this long without the next; that of MoveIt Servo.
LASTS_NS = 100_000_000


class TwistError(DynamoError):
    """A twist can't be followed; nothing of it is used."""


class TwistInput:
    """Integrates the newest twist into a target that begins at the measured tool; going on is the deadman.

    Twists are cut to the contract's speeds. 0.1 s after the last one there is no target, and the next begins
    at the measured tool again.
    """

    def __init__(self, contract: Contract, *, tool_frame: str) -> None:
        """Twists are in the axes of the contract's base frame, or of `tool_frame`, the tool's own."""
        self._arm, self._frames = contract.arm, (contract.base_frame, tool_frame)
        self._linear, self._angular = np.zeros(3), np.zeros(3)
        self._in_tool = False
        self._heard_ns: int | None = None
        self._pose: Pose | None = None
        self._stepped_ns = 0

    def take(self, linear: npt.ArrayLike, angular: npt.ArrayLike, frame: str, now_ns: int) -> None:
        """Take a twist that arrived at `now_ns`: `linear` (3,) m/s, `angular` (3,) rad/s.

        Raises:
            TwistError: `frame` is neither of the two, or a value is not finite.
        """
        both = np.array([linear, angular], np.float64)
        if frame not in self._frames:
            raise TwistError(f"a twist in frame {frame!r}; possible: {' or '.join(map(repr, self._frames))}")
        if not np.isfinite(both).all():
            raise TwistError(f"a twist of {both.ravel().tolist()} is not finite")
        if not self.holds(now_ns):
            self._pose = None
        self._linear = shorten(both[0], self._arm.speed_m_s)
        self._angular = shorten(both[1], self._arm.turn_rad_s)
        self._in_tool = frame == self._frames[1]
        self._heard_ns = now_ns

    def holds(self, now_ns: int) -> bool:
        """Whether a twist is to be followed at `now_ns`."""
        return self._heard_ns is not None and 0 <= now_ns - self._heard_ns <= LASTS_NS

    def step(self, measured: Pose, now_ns: int) -> Pose | None:
        """Return the target for `now_ns`, None where no twist holds; `measured` is where the tool is."""
        if not self.holds(now_ns):
            return None
        if self._pose is None:
            self._pose, self._stepped_ns = measured, now_ns
        self._pose = leashed(self._moved(self._pose, now_ns), measured)
        self._stepped_ns = now_ns
        return self._pose

    def _moved(self, pose: Pose, now_ns: int) -> Pose:
        elapsed_s = max(0, now_ns - self._stepped_ns) / 1e9
        to_base = Rotation.from_quat(pose.quaternion) if self._in_tool else Rotation.identity()
        way = to_base.apply(np.array([self._linear, self._angular])) * elapsed_s
        return pose_after(pose, way.ravel())
