"""Goals for grippers: by action, or by the xArm driver's services."""

from __future__ import annotations

from typing import Any

from control_msgs.action import GripperCommand

from dynamo_policies.sinks import Gripper, GripperCommandSink, XarmGripperSink, of_kind
from dynamo_ros.core.free_drive import RETURNS
from dynamo_ros.core.xarm_units import to_pulse
from dynamo_ros.drivers.bus import Bus
from dynamo_ros.drivers.xarm_services import service_types

ENABLED, POSITION_MODE = 1, 0


class GripperCommandDriver:
    """control_msgs/GripperCommand. What became of a goal is seen in the gripper's joint states alone."""

    def __init__(self, bus: Bus, sink: Gripper) -> None:
        action = of_kind(sink, GripperCommandSink, "a gripper's action").action
        self._goals = bus.goals(GripperCommand, action)

    def ready(self) -> bool:
        """Return whether a goal would be taken now."""
        return self._goals.ready()

    def fault(self) -> str:
        """Return an empty text: nobody waits for results."""
        return ""

    def send(self, position: float) -> None:
        """Send the goal `position`, in the driver's unit."""
        self._goals.send(gripper_goal(position))


class XarmGripperDriver:
    """set_gripper_position, after the gripper was enabled once.

    Raises:
        MissingPackageError: xarm_msgs is not installed.
    """

    def __init__(self, bus: Bus, sink: Gripper) -> None:
        what = "gripper kind 'xarm_gripper_service'"
        types, namespace = service_types(what), of_kind(sink, XarmGripperSink, what).namespace
        self._move_type, self._set_type = types.GripperMove, types.SetInt16
        self._move = bus.service(types.GripperMove, f"{namespace}/set_gripper_position")
        self._steps = [
            (bus.service(types.SetInt16, f"{namespace}/set_gripper_mode"), POSITION_MODE),
            (bus.service(types.SetInt16, f"{namespace}/set_gripper_enable"), ENABLED),
        ]
        self._step, self._asked, self._fault = 0, False, ""

    def ready(self) -> bool:
        """Return whether a goal would be taken now; until then the gripper is brought there, call by call."""
        if self._step == len(self._steps):
            return self._move.ready()
        service, data = self._steps[self._step]
        if not self._asked and service.ready():
            self._asked = True
            service.call(self._set_type.Request(data=data), self._answered)
        return False

    def fault(self) -> str:
        """Return why the last call failed, an empty text if it did not."""
        return self._fault

    def send(self, position: float) -> None:
        """Send the gripper to `position`, rad of drive_joint."""
        request = self._move_type.Request(pos=to_pulse(position), wait=False)
        self._move.call(request, self._moved)

    def _answered(self, response: Any) -> None:
        self._asked = False
        self._note(self._steps[self._step][0].name, response)
        self._step += not self._fault

    def _moved(self, response: Any) -> None:
        self._note(self._move.name, response)

    def _note(self, name: str, response: Any) -> None:
        why = RETURNS.get(response.ret, "unknown code")
        self._fault = "" if response.ret == 0 else f"{name} returned {response.ret} ({why})"


def gripper_goal(position: float) -> GripperCommand.Goal:
    """Return the goal `position`, in the driver's unit; the effort is left to the driver."""
    goal = GripperCommand.Goal()
    goal.command.position = float(position)
    goal.command.max_effort = 0.0
    return goal
