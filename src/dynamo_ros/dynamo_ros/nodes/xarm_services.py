"""The vendor's services and reports of an xArm, for nodes that change its mode themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rclpy.node import Node

from dynamo_ros.core.free_drive import ModeCall
from dynamo_ros.drivers.xarm_services import Answered, XarmServices
from dynamo_ros.nodes.bus import RosBus

Reported = Callable[[int, int], None]


class ArmServices(Protocol):
    """What kinesthetic teaching needs of an arm's driver."""

    def missing(self) -> list[str]:
        """Return the services that are not there now."""

    def call(self, call: ModeCall, answered: Answered) -> None:
        """Make the call; `answered` gets the return code and text."""


def xarm_services(node: Node, namespace: str, reported: Reported) -> ArmServices:
    """Return the services of xarm_ros2's driver below `namespace`; `reported` gets each mode and error.

    Raises:
        MissingPackageError: xarm_msgs is not installed.
    """

    def report(message: Any) -> None:
        reported(message.mode, message.err)

    return XarmServices(RosBus(node), namespace, report, what="kinesthetic teaching")
