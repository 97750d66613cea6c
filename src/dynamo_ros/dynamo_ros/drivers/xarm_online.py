"""Mode 7 of the xArm: its controller plans anew with each target."""

from __future__ import annotations

from typing import Any

from dynamo_policies.sinks import CartesianOnlineArm
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.xarm_units import MM_PER_M, to_rpy
from dynamo_ros.drivers.xarm import XarmDriver


class CartesianOnlineDriver(XarmDriver[CartesianOnlineArm]):
    """Tool poses as mm and RPY; the controller keeps to `speed_m_s` and its acceleration."""

    MODE, SERVICE, TYPE, SINK = 7, "set_position", "MoveCartesian", CartesianOnlineArm
    CARTESIAN = True

    def _request(self, command: ArmCommand | None) -> Any:
        assert command is not None
        return self._request_type(
            pose=to_rpy(command.target.pose),
            speed=self._arm.speed_m_s * MM_PER_M,
            acc=self._arm.planner_acceleration_m_s2 * MM_PER_M,
            wait=False,
        )
