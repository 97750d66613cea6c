"""The vendor's services and reports of an xArm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rclpy.node import Node

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.free_drive import ModeCall

Answered = Callable[[int, str], None]
Reported = Callable[[int, int], None]


class MissingPackageError(DynamoError):
    """A package of a vendor is not installed."""


class ArmServices(Protocol):
    """What kinesthetic teaching needs of an arm's driver."""

    def missing(self) -> list[str]:
        """Return the services that are not there now."""

    def call(self, call: ModeCall, answered: Answered) -> None:
        """Make the call; `answered` gets the return code and text."""


class XarmServices:
    """The services of xarm_ros2's driver below `namespace`; `reported` gets mode and error with each report.

    Raises:
        MissingPackageError: xarm_msgs is not installed.
    """

    def __init__(self, node: Node, namespace: str, reported: Reported) -> None:
        try:
            from xarm_msgs.msg import RobotMsg  # type: ignore[import-not-found]  # the vendor's workspace
            from xarm_msgs.srv import SetInt16, SetInt16ById  # type: ignore[import-not-found]
        except ImportError as error:
            raise MissingPackageError(
                "kinesthetic teaching needs the package xarm_msgs (of xarm_ros2), which is not installed"
            ) from error
        kinds = {"motion_enable": SetInt16ById, "set_mode": SetInt16, "set_state": SetInt16}
        self._clients: dict[str, Any] = {
            name: node.create_client(kind, f"{namespace}/{name}") for name, kind in kinds.items()
        }

        def report(message: Any) -> None:
            reported(message.mode, message.err)

        node.create_subscription(RobotMsg, f"{namespace}/robot_states", report, 10)

    def missing(self) -> list[str]:
        """Return the services that are not there now."""
        return [client.srv_name for client in self._clients.values() if not client.service_is_ready()]

    def call(self, call: ModeCall, answered: Answered) -> None:
        """Make the call; `answered` gets the return code and text."""
        client = self._clients[call.service]
        request = client.srv_type.Request(data=call.data)
        if call.joint is not None:
            request.id = call.joint

        def done(future: Any) -> None:
            response = future.result()
            answered(response.ret, response.message)

        client.call_async(request).add_done_callback(done)
