"""Which limits a series of commands keeps, measured from outside: by nothing but its joint positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.hand_sink import HandSink
from dynamo_policies.kinematics import chain
from dynamo_policies.sinks import SHAPED
from dynamo_ros.core.limiter import SPEED_TOLERANCE, WORKSPACE_TOLERANCE_M

FloatArray = npt.NDArray[np.float64]

# Rounding: positions of up to 2 pi differ by 1e-15, which the third difference at 50 Hz makes 1e-9 rad/s^3.
ROUNDING = 1e-6


class Audit(NamedTuple):
    """The worst of a series of the arm's commands, as parts of the limits; above 1 a limit was exceeded."""

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
        return _exceeded(self._asdict())


class HandAudit(NamedTuple):
    """The same of a hand's commands."""

    position: float
    velocity: float
    step: float

    @property
    def violations(self) -> tuple[str, ...]:
        """The limits that were exceeded."""
        return _exceeded(self._asdict())


def audit(contract: Contract, joints: npt.ArrayLike) -> Audit:
    """Measure commands (N, J) rad, one command period apart; see `audit_all`."""
    return Audit(**{name: float(part) for name, part in audit_all(contract, joints).items()})


def audit_all(contract: Contract, joints: npt.ArrayLike) -> dict[str, FloatArray]:
    """Return the parts (...) that series of commands (..., N, J) rad, one period apart, N at least 4, used.

    Velocity, acceleration and jerk of a joint are the first, second and third difference of its positions,
    divided by the period, its square and its cube. A position is measured from the middle of its limits, in
    half their width, and likewise in the workspace. The tool's limits count with their tolerances.
    """
    arm, period_s = contract.arm, contract.arm.period_ns / 1e9
    q = np.asarray(joints, np.float64)
    position, rotation = chain(contract.kinematics).forward(q, tool_offset_m=contract.tool_offset_m)
    lower, upper = np.array(arm.workspace_lower_m), np.array(arm.workspace_upper_m)
    traces = np.einsum("...nij,...nij->...n", rotation[..., :-1, :, :], rotation[..., 1:, :, :])
    speeds = np.linalg.norm(np.diff(position, axis=-2), axis=-1) / period_s
    turns = np.arccos(np.clip((traces - 1.0) / 2.0, -1.0, 1.0)) / period_s
    most = 1.0 + SPEED_TOLERANCE
    parts = {"position": _from_middle(q, np.array(arm.lower_rad), np.array(arm.upper_rad))}
    for n, name in enumerate(("velocity", "acceleration", "jerk"), start=1):
        limit = np.array(getattr(arm, SHAPED[n - 1]))
        parts[name] = (np.abs(np.diff(q, n=n, axis=-2)) / period_s**n / limit).max(axis=(-2, -1))
    parts["workspace"] = _from_middle(position, lower - WORKSPACE_TOLERANCE_M, upper + WORKSPACE_TOLERANCE_M)
    parts["speed"] = speeds.max(axis=-1) / (most * arm.speed_m_s)
    parts["turn"] = turns.max(axis=-1) / (most * arm.turn_rad_s)
    return parts


def audit_hand(hand: HandSink, joints: npt.ArrayLike) -> HandAudit:
    """Measure commands (N, 16) rad of a hand, N at least 2, each at most a period after the one before."""
    q = np.asarray(joints, np.float64)
    steps = np.abs(np.diff(q, axis=0))
    return HandAudit(
        position=float(_from_middle(q, np.array(hand.lower_rad), np.array(hand.upper_rad))),
        velocity=float((steps / np.array(hand.velocity_rad_s)).max() * 1e9 / hand.period_ns),
        step=float((steps / np.array(hand.step_rad)).max()),
    )


def _exceeded(parts: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(name for name, part in parts.items() if not part <= 1.0 + ROUNDING)


def _from_middle(values: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Return the farthest from the middle in half widths; values (..., N, K), limits (K,)."""
    part: FloatArray = (np.abs(values - (lower + upper) / 2.0) / ((upper - lower) / 2.0)).max(axis=(-2, -1))
    return part
