"""The sinks of a contract: how commands reach arm and gripper, and the limits that each obeys.

`kind` chooses the interface of the driver; docs/drivers.md has a table of what each needs and does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

from dynamo_policies.checks import check_below, check_length, check_positive, check_rate
from dynamo_policies.configs import Kinds
from dynamo_policies.errors import ConfigError

S = TypeVar("S", bound="Arm | Gripper")
SERVO_STEP_M = 0.01
# What a latched stop does: brake, and hold there; with `hold_and_disable` the driver is then told to stop as
# well, which lasts until it is prepared anew.
Stop = Literal["hold", "hold_and_disable"]

# Half of what the xArm takes at most (its SDK and manual: 20 rad/s^2, 500 rad/s^3); MoveIt's limit is 10 too.
ACCELERATION_RAD_S2, JERK_RAD_S3 = 10.0, 250.0
SHAPED = ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The limits that every command of an arm obeys, whatever its driver. Angles rad, lengths m, times s."""

    kind: str
    rate_hz: float
    joints: tuple[str, ...]
    lower_rad: tuple[float, ...]
    upper_rad: tuple[float, ...]
    velocity_rad_s: tuple[float, ...]
    acceleration_rad_s2: tuple[float, ...] = ()  # absent: ACCELERATION_RAD_S2 for each joint
    jerk_rad_s3: tuple[float, ...] = ()  # absent: JERK_RAD_S3 for each joint
    workspace_lower_m: tuple[float, ...]
    workspace_upper_m: tuple[float, ...]
    speed_m_s: float
    turn_rad_s: float
    first_target_within_rad: float
    tracking_stop_rad: float = 0.15  # commanded less measured joints, beyond which the arm is stopped…
    tracking_stop_s: float = 0.5  # …once it has lasted this long
    stale_stop_s: float = 0.5  # an observed stream older than this stops the arm; above max_age_ms it holds
    stop: Stop = "hold"
    # Whether the braking that follows a command is sent with it, and done where no other command comes.
    brakes_itself: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_rate("rate_hz", self.rate_hz)
        for name, each in (("acceleration_rad_s2", ACCELERATION_RAD_S2), ("jerk_rad_s3", JERK_RAD_S3)):
            object.__setattr__(self, name, getattr(self, name) or (each,) * len(self.joints))
        for name in ("lower_rad", "upper_rad", *SHAPED):
            check_length(name, getattr(self, name), len(self.joints))
        for name in ("workspace_lower_m", "workspace_upper_m"):
            check_length(name, getattr(self, name), 3)
        check_below("lower_rad", self.lower_rad, "upper_rad", self.upper_rad)
        check_below("workspace_lower_m", self.workspace_lower_m, "workspace_upper_m", self.workspace_upper_m)
        for name in ("speed_m_s", "turn_rad_s", "first_target_within_rad"):
            check_positive(name, getattr(self, name))
        for name in ("tracking_stop_rad", "tracking_stop_s", "stale_stop_s"):
            check_positive(name, getattr(self, name))
        for name in SHAPED:
            check_positive(f"the least of {name}", min(getattr(self, name)))

    @property
    def period_ns(self) -> int:
        """The time between two commands, nanoseconds."""
        return round(1e9 / self.rate_hz)


@dataclass(frozen=True, kw_only=True)
class TrajectoryArm(Arm):
    """ros2_control's JointTrajectoryController: each command on `topic`, with the braking that follows it."""

    kind: Literal["joint_trajectory"]
    topic: str
    brakes_itself: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop != "hold":
            raise ConfigError(f"stop {self.stop!r} is impossible with a topic; possible is 'hold'")


@dataclass(frozen=True, kw_only=True)
class XarmArm(Arm):
    """The xArm driver's own services below `namespace`, without ros2_control.

    Calls that are refused or unanswered for `failure_stop_s` stop the arm.
    """

    namespace: str = "/xarm"
    failure_stop_s: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("failure_stop_s", self.failure_stop_s)


@dataclass(frozen=True, kw_only=True)
class ServoJointArm(XarmArm):
    """Mode 1, set_servo_angle_j: joints are taken at once, without any planning."""

    kind: Literal["servo_joint"]
    step_rad: float = 0.02  # the most that one call may move a joint; ours, the vendor gives no number

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_step("velocity_rad_s", max(self.velocity_rad_s), "step_rad", self.step_rad, self.rate_hz)


@dataclass(frozen=True, kw_only=True)
class CartesianServoArm(XarmArm):
    """Mode 1, set_servo_cartesian_aa: tool poses are taken at once, without any planning."""

    kind: Literal["cartesian_servo"]
    step_m: float = 0.009  # the vendor asks for less than 10 mm a call
    step_rad: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_m >= SERVO_STEP_M:
            raise ConfigError(f"step_m {self.step_m:g} is impossible; possible is less than {SERVO_STEP_M:g}")
        _check_step("speed_m_s", self.speed_m_s, "step_m", self.step_m, self.rate_hz)
        _check_step("turn_rad_s", self.turn_rad_s, "step_rad", self.step_rad, self.rate_hz)


@dataclass(frozen=True, kw_only=True)
class CartesianOnlineArm(XarmArm):
    """Mode 7, set_position: the arm's controller plans anew to each tool pose, with its own speed limit."""

    kind: Literal["cartesian_online"]
    planner_acceleration_m_s2: float = 2.0  # the SDK's default


@dataclass(frozen=True, kw_only=True)
class VelocityArm(XarmArm):
    """Velocities that lead to the commands; the arm stops by itself `duration_s` after the last call.

    `gain_hz` times what the arm is off its command is added, within the limits of speed.
    """

    duration_s: float = 0.2
    gain_hz: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_gain(self.gain_hz, self.rate_hz)
        if self.duration_s < 2.0 / self.rate_hz:
            raise ConfigError(
                f"duration_s {self.duration_s:g} is shorter than two periods at {self.rate_hz:g} Hz; "
                f"at least {2.0 / self.rate_hz:g} is possible"
            )


@dataclass(frozen=True, kw_only=True)
class CartesianVelocityArm(VelocityArm):
    """Mode 5, vc_set_cartesian_velocity."""

    kind: Literal["cartesian_velocity"]


@dataclass(frozen=True, kw_only=True)
class JointVelocityArm(VelocityArm):
    """Mode 4, vc_set_joint_velocity."""

    kind: Literal["joint_velocity"]


@dataclass(frozen=True, kw_only=True)
class MoveItServoArm(Arm):
    """MoveIt Servo's node `servo`, which stops by itself 0.1 s after the last command (its default).

    With `speed_units` the values are m/s and rad/s; with `unitless`, Servo's default, shares of its scales.
    """

    servo: str = "/servo_node"
    command_in_type: Literal["speed_units", "unitless"] = "speed_units"
    gain_hz: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_gain(self.gain_hz, self.rate_hz)
        if self.stop != "hold":
            raise ConfigError(f"stop {self.stop!r} is impossible with a topic; possible is 'hold'")


@dataclass(frozen=True, kw_only=True)
class ServoTwistArm(MoveItServoArm):
    """Twists of the tool in the contract's base frame, on ~/delta_twist_cmds."""

    kind: Literal["servo_twist"]
    scale_linear_m_s: float = 0.4
    scale_rotational_rad_s: float = 0.8


@dataclass(frozen=True, kw_only=True)
class ServoJogArm(MoveItServoArm):
    """Joint velocities, on ~/delta_joint_cmds."""

    kind: Literal["servo_jog"]
    scale_joint_rad_s: float = 0.5


ARM_SINKS: dict[str, type[Arm]] = {
    "joint_trajectory": TrajectoryArm,
    "servo_joint": ServoJointArm,
    "cartesian_servo": CartesianServoArm,
    "cartesian_online": CartesianOnlineArm,
    "cartesian_velocity": CartesianVelocityArm,
    "joint_velocity": JointVelocityArm,
    "servo_twist": ServoTwistArm,
    "servo_jog": ServoJogArm,
}
ArmSink: TypeAlias = Annotated[Arm, Kinds(ARM_SINKS)]  # as a contract has it: the class follows from `kind`


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """When a gripper gets a goal: on change only, at most `rate_hz` times a second.

    `open` and `closed` are positions as the driver tells them in its joint states.
    """

    kind: str
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


@dataclass(frozen=True, kw_only=True)
class GripperCommandSink(Gripper):
    """A control_msgs/GripperCommand action."""

    kind: Literal["gripper_command"]
    action: str


@dataclass(frozen=True, kw_only=True)
class XarmGripperSink(Gripper):
    """The xArm driver's set_gripper_position below `namespace`; pulses follow from positions in rad."""

    kind: Literal["xarm_gripper_service"]
    namespace: str = "/xarm"


GRIPPER_SINKS: dict[str, type[Gripper]] = {
    "gripper_command": GripperCommandSink,
    "xarm_gripper_service": XarmGripperSink,
}
GripperSink: TypeAlias = Annotated[Gripper, Kinds(GRIPPER_SINKS)]


def of_kind(sink: Arm | Gripper | None, cls: type[S], what: str) -> S:
    """Return `sink`, or raise ConfigError because `what` needs one of the class `cls`."""
    if isinstance(sink, cls):
        return sink
    kinds = [kind for kind, known in {**ARM_SINKS, **GRIPPER_SINKS}.items() if issubclass(known, cls)]
    given = "there is none" if sink is None else f"kind is {sink.kind!r}"
    raise ConfigError(f"{what} needs kind {' or '.join(kinds)}; {given}")


def check_gain(gain_hz: float, rate_hz: float) -> None:
    """Raise ConfigError unless a correction by `gain_hz` settles when it is made `rate_hz` times a second."""
    if not 0.0 <= gain_hz <= rate_hz / 4.0:
        raise ConfigError(
            f"gain_hz {gain_hz:g} is impossible at {rate_hz:g} Hz; possible is 0 to {rate_hz / 4.0:g}"
        )


def _check_step(speed_name: str, speed: float, step_name: str, step: float, rate_hz: float) -> None:
    check_positive(step_name, step)
    if speed / rate_hz > step * (1.0 + 1e-9):
        raise ConfigError(
            f"{speed_name} {speed:g} at {rate_hz:g} Hz is {speed / rate_hz:g} a command, beyond {step_name} "
            f"{step:g}; at most {step * rate_hz:g} is possible, or a higher rate_hz"
        )
