"""Commands for MoveIt Servo (moveit_servo 2.12): twists of the tool or joint velocities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from builtin_interfaces.msg import Time
from control_msgs.msg import JointJog
from geometry_msgs.msg import TwistStamped

from dynamo_policies.contract import Contract
from dynamo_policies.sinks import MoveItServoArm, ServoJogArm, ServoTwistArm, of_kind
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.following import JointFollower, PoseFollower
from dynamo_ros.core.free_drive import ANSWER_S
from dynamo_ros.core.steps import FloatArray, tool_pose
from dynamo_ros.drivers.bus import Bus
from dynamo_ros.drivers.errors import MissingPackageError
from dynamo_ros.drivers.joint_trajectory import SECOND_NS

A = TypeVar("A", bound=MoveItServoArm)


class MoveItServoDriver(ABC, Generic[A]):
    """Publishes velocities once Servo has been told their type; Servo halts 0.1 s after the last.

    Raises:
        MissingPackageError: moveit_msgs is not installed.
    """

    NEEDS_JOINTS: ClassVar[bool] = True
    TYPE: ClassVar[int]  # of moveit_msgs/ServoCommandType
    SINK: ClassVar[type[MoveItServoArm]]

    def __init__(self, bus: Bus, contract: Contract) -> None:
        what = f"arm kind {contract.arm.kind!r}"
        arm = of_kind(contract.arm, self.SINK, what)
        self._arm: A = arm  # type: ignore[assignment]  # SINK is A's class
        self._contract = contract
        self._command_type = _command_type(what)
        self._switch = bus.service(self._command_type, f"{arm.servo}/switch_command_type")
        self._measured: FloatArray | None = None
        self._asked_ns: int | None = None
        self._switched = False
        self._fault = ""

    def prepare(self, now_ns: int) -> None:
        """Begin to tell Servo what it will get."""
        self._switch.forget()
        self._asked_ns, self._switched, self._fault = None, False, ""
        self._begun_ns = self._last_ns = now_ns
        self._forget()

    def ready(self, now_ns: int) -> bool:
        """Return whether commands may come; to be asked with each tick, since it goes on preparing."""
        self._last_ns = now_ns
        if self._asked_ns is None and self._switch.ready():
            self._asked_ns = now_ns
            self._switch.call(self._command_type.Request(command_type=self.TYPE), self._answered)
        elif not self._switched and now_ns - self._begun_ns > ANSWER_S * SECOND_NS:
            self._fault = self._fault or f"{self._switch.name} does not answer; is MoveIt Servo running?"
        return self._switched and not self._fault and self._measured is not None

    def fault(self) -> str:
        """Return why the arm can't be commanded, an empty text while it can."""
        return self._fault

    def observe(self, joints: FloatArray) -> None:
        """Take note of the measured joints (J,) rad."""
        self._measured = joints

    def send(self, command: ArmCommand, stamp_ns: int) -> None:
        """Publish the velocity that leads to the command."""
        self._last_ns = stamp_ns
        if self._switched:
            self._publish(command, stamp_ns)

    def release(self) -> None:
        """End the velocity."""
        self._forget()
        if self._switched:
            self._publish(None, self._last_ns)

    def halt(self) -> None:
        """End the velocity; only `prepare` leads to another."""
        self.release()
        self._switched = False

    def _answered(self, response: Any) -> None:
        self._switched = bool(response.success)
        if not self._switched:
            self._fault = f"{self._switch.name} refused the command type {self.TYPE}"

    def _share(self, value: float, scale: float) -> float:
        return value / scale if self._arm.command_in_type == "unitless" else value

    @abstractmethod
    def _publish(self, command: ArmCommand | None, stamp_ns: int) -> None:
        """Publish the velocity that leads to `command`; None ends a velocity."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget what was sent before."""


class ServoTwistDriver(MoveItServoDriver[ServoTwistArm]):
    """Twists of the tool in the contract's base frame."""

    TYPE, SINK = 1, ServoTwistArm

    def __init__(self, bus: Bus, contract: Contract) -> None:
        super().__init__(bus, contract)
        self._send = bus.publisher(TwistStamped, f"{self._arm.servo}/delta_twist_cmds")
        self._follower = PoseFollower(self._arm, self._arm.gain_hz)

    def _forget(self) -> None:
        self._follower.forget()

    def _publish(self, command: ArmCommand | None, stamp_ns: int) -> None:
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = _time(stamp_ns), self._contract.base_frame
        if command is not None:
            assert self._measured is not None
            measured = tool_pose(self._contract, self._measured)
            twist = self._follower.velocity(command.target.pose, measured, stamp_ns)
            linear, angular = message.twist.linear, message.twist.angular
            scales = self._arm.scale_linear_m_s, self._arm.scale_rotational_rad_s
            linear.x, linear.y, linear.z = (self._share(float(v), scales[0]) for v in twist[:3])
            angular.x, angular.y, angular.z = (self._share(float(v), scales[1]) for v in twist[3:])
        self._send(message)


class ServoJogDriver(MoveItServoDriver[ServoJogArm]):
    """Joint velocities."""

    TYPE, SINK = 0, ServoJogArm

    def __init__(self, bus: Bus, contract: Contract) -> None:
        super().__init__(bus, contract)
        self._send = bus.publisher(JointJog, f"{self._arm.servo}/delta_joint_cmds")
        self._follower = JointFollower(self._arm, self._arm.gain_hz)

    def _forget(self) -> None:
        self._follower.forget()

    def _publish(self, command: ArmCommand | None, stamp_ns: int) -> None:
        message = JointJog(joint_names=list(self._arm.joints), velocities=[0.0] * len(self._arm.joints))
        message.header.stamp, message.header.frame_id = _time(stamp_ns), self._contract.base_frame
        if command is not None:
            speeds = self._follower.velocity(command.joints, self._measured, stamp_ns)
            message.velocities = [self._share(float(v), self._arm.scale_joint_rad_s) for v in speeds]
        self._send(message)


def _command_type(what: str) -> Any:
    try:
        from moveit_msgs.srv import ServoCommandType  # MoveIt's workspace
    except ImportError as error:
        raise MissingPackageError(what, "moveit_msgs", "MoveIt, ros-jazzy-moveit-servo") from error
    return ServoCommandType


def _time(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // SECOND_NS, nanosec=stamp_ns % SECOND_NS)
