"""The sink of a contract for an Allegro hand: how targets reach it, and the limits that each joint obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dynamo_policies.checks import check_below, check_length, check_positive, check_rate
from dynamo_policies.errors import ConfigError

JOINTS = 16
# Each driver's own names in its own order; sources as in docs/drivers.md.
# allegro_hand_ros2 (V4, Plexus): thumb 00 to 03, index 10 to 13, middle 20 to 23, ring 30 to 33.
WONIK_V4 = tuple(f"ah_joint{finger}{joint}" for finger in range(4) for joint in range(4))
# allegro_hand_ros2_v5: index, middle, ring, thumb.
WONIK_V5 = tuple(f"joint_{joint}_0" for joint in range(JOINTS))
# The drivers of ROS 1, DIME's among them: index, middle, ring, thumb.
ROS1 = tuple(f"joint_{joint}.0" for joint in range(JOINTS))
HandKind = Literal["allegro_v4", "allegro_v5", "allegro_dime"]
HAND_JOINTS: Mapping[str, tuple[str, ...]] = {
    "allegro_v4": WONIK_V4,
    "allegro_v5": WONIK_V5,
    "allegro_dime": ROS1,
}


@dataclass(frozen=True, kw_only=True)
class HandSink:
    """How targets reach the hand, and the limits that every command obeys. Angles rad.

    `joints` are the driver's names in the driver's order; another order is an error, because these drivers
    take positions by place. `step_rad` is the most that one command, of `rate_hz` a second, may move a joint.
    A stop repeats the measured joints (`hold`): a V4 driver would else press on for ever.
    """

    kind: HandKind
    topic: str
    rate_hz: float
    joints: tuple[str, ...]
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]
    velocity_rad_s: tuple[float, ...]
    step_rad: tuple[float, ...]
    stale_stop_s: float = 0.5  # measured joints older than this stop hand and arm
    stop: Literal["hold"] = "hold"

    def __post_init__(self) -> None:
        check_rate("rate_hz", self.rate_hz)
        self._check_order()
        for name in ("lower_rad", "upper_rad", "velocity_rad_s", "step_rad"):
            check_length(name, getattr(self, name), JOINTS)
        check_below("lower_rad", self.lower_rad, "upper_rad", self.upper_rad)
        check_positive("the least of velocity_rad_s", min(self.velocity_rad_s))
        check_positive("the least of step_rad", min(self.step_rad))
        check_positive("stale_stop_s", self.stale_stop_s)

    def _check_order(self) -> None:
        """Names may have another prefix, as `ahr_joint00` of one of two hands, but the same ends in order."""
        expected = HAND_JOINTS[self.kind]
        if len(self.joints) != JOINTS or len(set(self.joints)) != JOINTS:
            raise ConfigError(f"joints {list(self.joints)} must be {JOINTS} names, each once")
        for place, (given, name) in enumerate(zip(self.joints, expected, strict=True)):
            if not given.endswith(name[name.index("joint") :]):
                raise ConfigError(
                    f"joints[{place}] is {given!r}, {self.kind} has {name!r} there; its order is "
                    f"{', '.join(expected)}"
                )

    @property
    def period_ns(self) -> int:
        """The time between two commands, nanoseconds."""
        return round(1e9 / self.rate_hz)
