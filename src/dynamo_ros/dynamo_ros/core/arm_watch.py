"""Where the arm is, by its joint states, and whether it is where it was commanded to be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract

FloatArray = npt.NDArray[np.float64]


class ArmWatch:
    """Holds the newest measured joints; says what about them must stop the arm."""

    def __init__(self, contract: Contract) -> None:
        self._arm = contract.arm
        self._max_age_ns = contract.streams[contract.arm_stream].max_age_ns
        self.start(np.zeros(len(contract.arm.joints)), 0)

    def start(self, joints: FloatArray, now_ns: int) -> None:
        """Take `joints` (J,) rad as measured at `now_ns`."""
        self.joints, self._stamp_ns = joints, now_ns
        self._off_since_ns: int | None = None

    def observe(self, measured: npt.ArrayLike, stamp_ns: int, commanded: FloatArray) -> str | None:
        """Take note of the measured joints (J,) rad; return why to stop.

        That is a lasting difference from the joints `commanded`. A reading that is not finite counts as none:
        the stream then goes stale.
        """
        joints = np.asarray(measured, np.float64)
        if not np.isfinite(joints).all():
            return None
        self.joints, self._stamp_ns = joints, max(stamp_ns, self._stamp_ns)
        error = float(np.abs(joints - commanded).max())
        if error <= self._arm.tracking_stop_rad:
            self._off_since_ns = None
            return None
        self._off_since_ns = stamp_ns if self._off_since_ns is None else self._off_since_ns
        if (stamp_ns - self._off_since_ns) / 1e9 < self._arm.tracking_stop_s:
            return None
        limit = f"{self._arm.tracking_stop_rad:g} rad for {self._arm.tracking_stop_s:g} s"
        return f"the arm is {error:.3f} rad from its command, more than {limit}"

    def stale(self, now_ns: int) -> bool:
        """Return whether the measured joints are too old to move by; or ahead, where the clock went back."""
        return self._max_age_ns is not None and abs(now_ns - self._stamp_ns) > self._max_age_ns

    def gone(self, now_ns: int) -> str | None:
        """Return why to stop: the measured joints have been too old for too long."""
        age_s = (now_ns - self._stamp_ns) / 1e9
        if abs(age_s) <= self._arm.stale_stop_s:
            return None
        if age_s > 0.0:
            return f"no joint positions of the arm for {age_s:.2f} s"
        return f"the joint positions of the arm are from {-age_s:.2f} s ahead: a clock went back"

    def elsewhere(self, start: FloatArray) -> str | None:
        """Return why to stop: the arm is not at the joints `start` (J,) where commanding is to begin."""
        distance, within = float(np.abs(start - self.joints).max()), self._arm.first_target_within_rad
        if distance <= within:
            return None
        return f"the first command is {distance:.3f} rad from the arm, more than {within:g}"
