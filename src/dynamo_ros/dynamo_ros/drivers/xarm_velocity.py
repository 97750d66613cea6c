"""Modes 4 and 5 of the xArm: velocities that end by themselves."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from dynamo_policies.contract import Contract
from dynamo_policies.sinks import CartesianVelocityArm, JointVelocityArm, VelocityArm
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.following import JointFollower, PoseFollower
from dynamo_ros.core.steps import tool_pose
from dynamo_ros.core.xarm_units import to_twist
from dynamo_ros.drivers.bus import Bus
from dynamo_ros.drivers.xarm import A, XarmDriver


class VelocityDriver(XarmDriver[A]):
    """Sends the velocity that leads from the last command to this one; zero to end it."""

    TYPE = "MoveVelocity"

    def release(self) -> None:
        """End the velocity; if that call is lost, the arm ends it after `duration_s`."""
        super().release()
        self._forget()
        if self._preparation.state == "ready":
            self.calls.press(None, self._now_ns)

    def _request(self, command: ArmCommand | None) -> Any:
        arm = self._arm
        assert isinstance(arm, VelocityArm)
        speeds = self._speeds(command)
        return self._request_type(speeds=speeds, is_sync=True, duration=arm.duration_s)

    @abstractmethod
    def _speeds(self, command: ArmCommand | None) -> list[float]:
        """Return the velocity that leads to `command`, in the service's units; zeros for None."""


class CartesianVelocityDriver(VelocityDriver[CartesianVelocityArm]):
    """Twists of the tool in the base frame, mm/s and rad/s."""

    MODE, SERVICE, SINK = 5, "vc_set_cartesian_velocity", CartesianVelocityArm
    CARTESIAN = True

    def __init__(self, bus: Bus, contract: Contract) -> None:
        super().__init__(bus, contract)
        self._follower = PoseFollower(self._arm, self._arm.gain_hz)

    def _forget(self) -> None:
        self._follower.forget()

    def _speeds(self, command: ArmCommand | None) -> list[float]:
        if command is None:
            return [0.0] * 6
        assert self._measured is not None
        measured = tool_pose(self._contract, self._measured)
        return to_twist(self._follower.velocity(command.target.pose, measured, self._now_ns))


class JointVelocityDriver(VelocityDriver[JointVelocityArm]):
    """Joint velocities, rad/s."""

    MODE, SERVICE, SINK = 4, "vc_set_joint_velocity", JointVelocityArm

    def __init__(self, bus: Bus, contract: Contract) -> None:
        super().__init__(bus, contract)
        self._follower = JointFollower(self._arm, self._arm.gain_hz)

    def _forget(self) -> None:
        self._follower.forget()

    def _speeds(self, command: ArmCommand | None) -> list[float]:
        if command is None:
            return [0.0] * len(self._arm.joints)
        return list(map(float, self._follower.velocity(command.joints, self._measured, self._now_ns)))
