"""The `gates:` of a contract: what makes the arm go slowly, hold or stop while a policy runs, and when.

A reaction is one of none (watch and count only), slow (at most `slow_m_s`), hold (the arm stays where it is
until the cause is gone) and stop (latched: nothing moves before somebody re-arms). Whatever holds for longer
than a gate's `stop_after_s` stops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from dynamo_policies.checks import check_positive
from dynamo_policies.errors import ConfigError, UnknownNameError

Reaction = Literal["none", "slow", "hold", "stop"]
REACTIONS: tuple[Reaction, ...] = ("none", "slow", "hold", "stop")  # from mild to severe


@dataclass(frozen=True, kw_only=True)
class StaleGate:
    """An observed stream is older than its max_age_ms, or stamped in the future.

    `streams` replaces the reaction for single streams. It stops after `arm.stale_stop_s`.
    """

    reaction: Reaction = "hold"
    ahead_ms: float = 100.0  # a stamp this far in the future would hide that the stream has ended
    streams: dict[str, Reaction] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UnreadableGate:
    """The newest message of a stream does not fit the contract: NaN joints, another size or encoding."""

    reaction: Reaction = "hold"
    stop_after_s: float | None = 0.5


@dataclass(frozen=True, kw_only=True)
class FrozenGate:
    """A camera repeats one image, under new stamps, for its max_age_ms while a joint moves by `moved_rad`."""

    reaction: Reaction = "hold"
    # A scene that stands still gives the same image. Of the simulated kitchen's arm no joint moves as far as
    # 0.005 rad, all others at rest, without changing what any camera sees (docs/safety.md).
    moved_rad: float = 0.01
    stop_after_s: float | None = 1.0

    def __post_init__(self) -> None:
        check_positive("moved_rad", self.moved_rad)


@dataclass(frozen=True, kw_only=True)
class FrozenJointsGate:
    """Joints repeat one reading, bit for bit and under new stamps, while they are commanded away.

    That is for the stream's max_age_ms, and a joint is commanded to move by `moved_rad`, one of a hand by
    `finger_moved_rad`, of which it shows something within `lag_ms`. The stop comes before that of
    `arm.tracking_stop_s`, after which the arm would yield to where it is said to be.
    """

    reaction: Reaction = "hold"
    moved_rad: float = 0.002
    # A finger's friction may hold it until its controller pulls: an assumption, measured on no real hand.
    finger_moved_rad: float = 0.05
    lag_ms: float = 80.0
    stop_after_s: float | None = 0.4

    def __post_init__(self) -> None:
        check_positive("moved_rad", self.moved_rad)
        check_positive("finger_moved_rad", self.finger_moved_rad)
        check_positive("lag_ms", self.lag_ms)


@dataclass(frozen=True, kw_only=True)
class NonFiniteGate:
    """The policy's action holds NaN or infinity."""

    reaction: Reaction = "stop"
    stop_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class PlanGate:
    """The policy gave no usable action for `periods` of its rate: it hangs, or it is too slow."""

    reaction: Reaction = "hold"
    periods: float = 5.0
    stop_after_s: float | None = 1.0

    def __post_init__(self) -> None:
        check_positive("periods", self.periods)


@dataclass(frozen=True, kw_only=True)
class ClockGate:
    """The ROS clock went another way than the steady one by more than `jump_ms` between two commands."""

    reaction: Reaction = "stop"
    jump_ms: float = 100.0
    stop_after_s: float | None = None

    def __post_init__(self) -> None:
        check_positive("jump_ms", self.jump_ms)


@dataclass(frozen=True, kw_only=True)
class RobotStateGate:
    """The arm's controller reports an error, another mode, a state in which it does not move, or nothing.

    The messages are the xArm driver's RobotMsg (docs/drivers.md). Without a `topic` nobody is asked.
    """

    reaction: Reaction = "stop"
    topic: str | None = None
    type: str = "xarm_msgs/msg/RobotMsg"
    max_age_ms: float = 500.0
    modes: tuple[int, ...] = (1,)  # 1: servo, as ros2_control commands it; empty: any
    states: tuple[int, ...] = (1, 2)  # moving, ready
    on_warning: Reaction = "slow"
    stop_after_s: float | None = None

    def __post_init__(self) -> None:
        check_positive("max_age_ms", self.max_age_ms)
        _check_topic("topic", self.topic)


@dataclass(frozen=True, kw_only=True)
class DeadmanGate:
    """Nobody holds the button under which the policy may move the arm.

    `topic` carries std_msgs/Bool, or with a `button` the sensor_msgs/Joy of which it is one. Without a topic
    no deadman is needed.
    """

    reaction: Reaction = "hold"
    topic: str | None = None
    button: int | None = None
    max_age_ms: float = 250.0
    stop_after_s: float | None = None

    def __post_init__(self) -> None:
        check_positive("max_age_ms", self.max_age_ms)
        _check_topic("topic", self.topic)
        if self.button is not None and self.button < 0:
            raise ConfigError(f"button {self.button} is below 0")


@dataclass(frozen=True, kw_only=True)
class EstopGate:
    """Somebody asks for a stop by true on `topic`, std_msgs/Bool. Always a latched stop."""

    topic: str = "/dynamo/estop"

    def __post_init__(self) -> None:
        _check_topic("topic", self.topic)


@dataclass(frozen=True, kw_only=True)
class NoveltyGate:
    """The robot sees what no demonstration showed, in `least` of the last `of` observations.

    The distance to the nearest demonstration is measured in the encoder's features, in units of the bundle's
    threshold; above `ratio` an observation counts as new.
    """

    reaction: Reaction = "hold"
    ratio: float = 1.0
    least: int = 4
    of: int = 5
    stop_after_s: float | None = 10.0

    def __post_init__(self) -> None:
        check_positive("ratio", self.ratio)
        if not 1 <= self.least <= self.of:
            raise ConfigError(f"least {self.least} and of {self.of} must be 1 <= least <= of")


@dataclass(frozen=True, kw_only=True)
class FirstAction:
    """How far from the measured tool the first action may be; activation is refused beyond."""

    within_m: float = 0.1
    within_rad: float = 0.5

    def __post_init__(self) -> None:
        check_positive("within_m", self.within_m)
        check_positive("within_rad", self.within_rad)


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """A person's targets go before the policy's while they keep coming, none later than `silence_ms`."""

    possible: bool = True
    silence_ms: float = 250.0

    def __post_init__(self) -> None:
        check_positive("silence_ms", self.silence_ms)


@dataclass(frozen=True, kw_only=True)
class Gates:
    """All gates of a contract. Each is on where the contract says nothing."""

    slow_m_s: float = 0.05
    slow_rad_s: float = 0.2
    stale: StaleGate = field(default_factory=StaleGate)
    unreadable: UnreadableGate = field(default_factory=UnreadableGate)
    frozen: FrozenGate = field(default_factory=FrozenGate)
    frozen_joints: FrozenJointsGate = field(default_factory=FrozenJointsGate)
    non_finite: NonFiniteGate = field(default_factory=NonFiniteGate)
    plan: PlanGate = field(default_factory=PlanGate)
    clock: ClockGate = field(default_factory=ClockGate)
    robot_state: RobotStateGate = field(default_factory=RobotStateGate)
    deadman: DeadmanGate = field(default_factory=DeadmanGate)
    estop: EstopGate = field(default_factory=EstopGate)
    novelty: NoveltyGate = field(default_factory=NoveltyGate)
    first_action: FirstAction = field(default_factory=FirstAction)
    takeover: Takeover = field(default_factory=Takeover)

    def __post_init__(self) -> None:
        check_positive("slow_m_s", self.slow_m_s)
        check_positive("slow_rad_s", self.slow_rad_s)
        for name in (
            "unreadable",
            "frozen",
            "frozen_joints",
            "non_finite",
            "plan",
            "clock",
            "robot_state",
            "deadman",
            "novelty",
        ):
            if (seconds := getattr(self, name).stop_after_s) is not None:
                check_positive(f"{name}.stop_after_s", seconds)

    def simulated(self) -> Gates:
        """Return these gates where there is no controller that reports, and nobody with a deadman."""
        robot_state = dataclasses.replace(self.robot_state, topic=None)
        return dataclasses.replace(
            self, robot_state=robot_state, deadman=dataclasses.replace(self.deadman, topic=None)
        )

    def check_streams(self, observed: Collection[str]) -> None:
        """Raise UnknownNameError where a stream is named that is not `observed`."""
        for stream in self.stale.streams:
            if stream not in observed:
                raise UnknownNameError("gates.stale.streams: stream", stream, observed)


def worse(one: Reaction, other: Reaction) -> Reaction:
    """Return the more severe of two reactions."""
    return max(one, other, key=REACTIONS.index)


def _check_topic(name: str, topic: str | None) -> None:
    if topic is not None and not topic.startswith("/"):
        raise ConfigError(f"{name} {topic!r} is not absolute; write {'/' + topic!r}")
