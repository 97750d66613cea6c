"""The sinks of a contract: how commands reach arm and gripper, and the limits that each obeys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dynamo_policies.checks import check_below, check_length, check_positive, check_rate
from dynamo_policies.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ArmSink:
    """How targets reach the arm, and the limits that every command obeys. Angles rad, lengths m, times s."""

    kind: Literal["joint_trajectory"]
    topic: str
    rate_hz: float
    joints: tuple[str, ...]
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]
    velocity_rad_s: tuple[float, ...]
    workspace_lower_m: tuple[float, ...]
    workspace_upper_m: tuple[float, ...]
    speed_m_s: float
    turn_rad_s: float
    first_target_within_rad: float
    tracking_stop_rad: float = 0.15  # commanded less measured joints, beyond which the arm is stopped…
    tracking_stop_s: float = 0.5  # …once it has lasted this long
    stale_stop_s: float = 0.5  # an observed stream older than this stops the arm; above max_age_ms it holds
    stop: Literal["hold"] = "hold"

    def __post_init__(self) -> None:
        check_rate("rate_hz", self.rate_hz)
        for name in ("lower_rad", "upper_rad", "velocity_rad_s"):
            check_length(name, getattr(self, name), len(self.joints))
        for name in ("workspace_lower_m", "workspace_upper_m"):
            check_length(name, getattr(self, name), 3)
        check_below("lower_rad", self.lower_rad, "upper_rad", self.upper_rad)
        check_below("workspace_lower_m", self.workspace_lower_m, "workspace_upper_m", self.workspace_upper_m)
        for name in ("speed_m_s", "turn_rad_s", "first_target_within_rad"):
            check_positive(name, getattr(self, name))
        for name in ("tracking_stop_rad", "tracking_stop_s", "stale_stop_s"):
            check_positive(name, getattr(self, name))
        check_positive("the least of velocity_rad_s", min(self.velocity_rad_s))

    @property
    def period_ns(self) -> int:
        """The time between two commands, nanoseconds."""
        return round(1e9 / self.rate_hz)


@dataclass(frozen=True, kw_only=True)
class GripperSink:
    """How targets reach the gripper: a goal is sent on change only, at most `rate_hz` times a second."""

    kind: Literal["gripper_command"]
    action: str
    rate_hz: float
    open: float
    closed: float
    close_above: float
    open_below: float

    def __post_init__(self) -> None:
        check_rate("rate_hz", self.rate_hz)
        if not 0.0 <= self.open_below < self.close_above <= 1.0:
            raise ConfigError(
                f"open_below {self.open_below:g} and close_above {self.close_above:g} "
                "must lie in 0..1 in this order"
            )
