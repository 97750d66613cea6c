"""The tool's way to a target: a line at limited speed, as joint positions that the motion follows."""

from __future__ import annotations

import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose
from dynamo_ros.core.ik import InverseKinematics
from dynamo_ros.core.limiter import Limiter
from dynamo_ros.core.motion import Motion


class ToolPath:
    """Goes ahead of a Motion, which comes softly after it by a few hundredths of a second."""

    def __init__(self, contract: Contract) -> None:
        self._period_s = contract.arm.period_ns / 1e9
        self._limiter, self._ik = Limiter(contract), InverseKinematics(contract)
        self._joined = False

    def start(self, joints: npt.ArrayLike) -> None:
        """Make sure that a way can begin at `joints` (J,) rad; IkError if it can't."""
        self._ik.reset(joints)
        self._joined = False

    def leave(self) -> None:
        """Take note that the motion went another way; the next way begins where that comes to rest."""
        self._joined = False

    def lead(self, motion: Motion, goal: Pose, *, fraction: float) -> tuple[str, ...]:
        """Move `motion` on `fraction` of the way to `goal`; return the limits that applied.

        Raises IkError, and nothing has moved, where there is no way on.
        """
        if not self._joined:
            self._ik.reset(motion.rest)
        wanted, slow = self._limiter.approach(self._ik.pose, goal, fraction=fraction, dt_s=self._period_s)
        broken = motion.toward(self._ik.step(wanted, self._period_s))
        self._joined = not broken
        return *slow, *broken
