"""The services and reports of an xArm's driver (xarm_ros2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo_ros.core.free_drive import ModeCall
from dynamo_ros.drivers.bus import Bus, Service
from dynamo_ros.drivers.errors import MissingPackageError

Answered = Callable[[int, str], None]


def service_types(what: str) -> Any:
    """Return the module xarm_msgs.srv, or raise MissingPackageError, which names `what` needs it."""
    try:
        import xarm_msgs.srv  # the vendor's workspace
    except ImportError as error:
        raise MissingPackageError(what, "xarm_msgs", "xarm_ros2") from error
    return xarm_msgs.srv


class XarmServices:
    """Mode, state and errors of the arm below `namespace`; `reported` gets each xarm_msgs/RobotMsg.

    Raises:
        MissingPackageError: xarm_msgs is not installed.
    """

    def __init__(self, bus: Bus, namespace: str, reported: Callable[[Any], None], *, what: str) -> None:
        types = service_types(what)
        from xarm_msgs.msg import RobotMsg

        kinds = {
            "motion_enable": types.SetInt16ById,
            "set_mode": types.SetInt16,
            "set_state": types.SetInt16,
            "clean_error": types.Call,
            "clean_warn": types.Call,
        }
        self._kinds = kinds
        self._services: dict[str, Service] = {
            name: bus.service(kind, f"{namespace}/{name}") for name, kind in kinds.items()
        }
        bus.subscribe(RobotMsg, f"{namespace}/robot_states", reported)

    def missing(self) -> list[str]:
        """Return the services that are not there now."""
        return [service.name for service in self._services.values() if not service.ready()]

    def call(self, call: ModeCall, answered: Answered) -> None:
        """Make the call; `answered` gets the return code and text."""
        request = self._kinds[call.service].Request()
        if not call.service.startswith("clean"):
            request.data = call.data
        if call.joint is not None:
            request.id = call.joint
        self._services[call.service].call(request, lambda response: answered(response.ret, response.message))
