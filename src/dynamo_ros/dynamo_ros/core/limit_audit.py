"""Which limits a series of commands keeps, measured from outside: by nothing but its joint positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_ros.core.limiter import SPEED_TOLERANCE, WORKSPACE_TOLERANCE_M

FloatArray = npt.NDArray[np.float64]

# Rounding: positions of up to 2 pi differ by 1e-15, which the third difference at 50 Hz makes 1e-9 rad/s^3.
ROUNDING = 1e-6


class Audit(NamedTuple):
    """The worst of a series of commands, as parts of the limits; above 1 a limit was exceeded."""

    position: float
    velocity: float
    acceleration: float
    jerk: float
    workspace: float
    speed: float
    turn: float

    @property
    def violations(self) -> tuple[str, ...]:
        """The limits that were exceeded."""
        return tuple(name for name, part in self._asdict().items() if not part <= 1.0 + ROUNDING)


def audit(contract: Contract, joints: npt.ArrayLike) -> Audit:
    """Measure commands (N, J) rad, one command period apart, N at least 4.

    Velocity, acceleration and jerk of a joint are the first, second and third difference of its positions,
    divided by the period, its square and its cube. A position is measured from the middle of its limits, in
    half their width, and likewise in the workspace. The tool's limits count with their tolerances.
    """
    arm, period_s = contract.arm, contract.arm.period_ns / 1e9
    q = np.asarray(joints, np.float64)
    position, rotation = chain(contract.kinematics).forward(q, tool_offset_m=contract.tool_offset_m)
    limits = arm.velocity_rad_s, arm.acceleration_rad_s2, arm.jerk_rad_s3
    velocity, acceleration, jerk = (
        float((np.abs(np.diff(q, n=n, axis=0)) / period_s**n / np.array(limit)).max())
        for n, limit in enumerate(limits, start=1)
    )
    speeds = np.linalg.norm(np.diff(position, axis=0), axis=1) / period_s
    traces = np.einsum("nij,nij->n", rotation[:-1], rotation[1:])
    turns = np.arccos(np.clip((traces - 1.0) / 2.0, -1.0, 1.0)) / period_s
    most = 1.0 + SPEED_TOLERANCE
    box = np.array(arm.workspace_lower_m), np.array(arm.workspace_upper_m)
    return Audit(
        _part(q, np.array(arm.lower_rad), np.array(arm.upper_rad)),
        velocity,
        acceleration,
        jerk,
        _part(position, box[0] - WORKSPACE_TOLERANCE_M, box[1] + WORKSPACE_TOLERANCE_M),
        float(speeds.max()) / (most * arm.speed_m_s),
        float(turns.max()) / (most * arm.turn_rad_s),
    )


def _part(values: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    return float((np.abs(values - (lower + upper) / 2.0) / ((upper - lower) / 2.0)).max())
