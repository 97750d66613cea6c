"""The mode services and reports of the xArm's driver, as far as leading an arm by hand needs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from dynamo_policies.observation import Pose
from dynamo_ros.nodes.messages import from_pose_message, to_time

LEAD_TOPIC = "/station/lead"  # geometry_msgs/PoseStamped, base frame: where a person's hand wants the tool
GUIDED_MODE, CONTROLLED_MODE = 2, 1
READY, STOPPED, CHANGED = 2, 4, 5
ALL_ABLE = 0x7F


@runtime_checkable
class LedStation(Protocol):
    """A station whose arm can be led by hand."""

    def let_go(self) -> None:
        """Let the arm be led: it carries its weight and holds against nothing."""

    def take_hold(self) -> None:
        """Hold the arm where it is."""

    def lead(self, wanted: Pose) -> None:
        """Lead the tool to a pose, as far as it lets itself be led."""


class ArmModes:
    """Tells the station to let go of its arm in mode 2; every other mode holds it."""

    def __init__(self, node: Node, station: LedStation, types: Any, namespace: str) -> None:
        self._station, self._types = station, types
        self._mode, self._state = CONTROLLED_MODE, READY
        self._reports = node.create_publisher(types.msg.RobotMsg, f"{namespace}/robot_states", 10)
        srv = types.srv
        offered: dict[str, tuple[Any, Callable[[Any], None]]] = {
            "motion_enable": (srv.SetInt16ById, lambda _: None),
            "set_mode": (srv.SetInt16, self._set_mode),
            "set_state": (srv.SetInt16, self._set_state),
            "clean_error": (srv.Call, lambda _: None),
            "clean_warn": (srv.Call, lambda _: None),
        }
        for name, (kind, act) in offered.items():
            node.create_service(kind, f"{namespace}/{name}", _answering(act))
        node.create_subscription(PoseStamped, LEAD_TOPIC, self._lead, 10)

    def report(self, stamp_ns: int) -> None:
        """Publish mode and state."""
        report = self._types.msg.RobotMsg(mode=self._mode, state=self._state, mt_able=ALL_ABLE)
        report.header.stamp = to_time(stamp_ns)
        self._reports.publish(report)

    def _set_mode(self, request: Any) -> None:
        self._mode, self._state = request.data, CHANGED
        self._station.take_hold()

    def _set_state(self, request: Any) -> None:
        self._state = READY if request.data == 0 else request.data
        if self._mode == GUIDED_MODE and self._state == READY:
            self._station.let_go()
        else:
            self._station.take_hold()

    def _lead(self, message: PoseStamped) -> None:
        self._station.lead(from_pose_message(message.pose))


def arm_modes(node: Node, station: object, namespace: str = "/xarm") -> ArmModes | None:
    """Return the services where the station's arm can be led and xarm_msgs is installed, else None."""
    try:
        import xarm_msgs.msg
        import xarm_msgs.srv
    except ImportError:
        return None
    return ArmModes(node, station, xarm_msgs, namespace) if isinstance(station, LedStation) else None


def _answering(act: Callable[[Any], None]) -> Callable[[Any, Any], Any]:
    def answer(request: Any, response: Any) -> Any:
        act(request)
        return response

    return answer
