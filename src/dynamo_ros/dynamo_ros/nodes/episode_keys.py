"""A terminal's keyboard for whoever records: start, success, failure, discard, redo, moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo_interfaces.msg import RecorderState
from dynamo_interfaces.srv import MarkMoment, StartEpisode, StopEpisode
from rclpy.client import Client
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dynamo_ros.core.episode_buttons import KEYS
from dynamo_ros.drivers.terminal import Terminal
from dynamo_ros.nodes.spin import run

LOOK_S = 0.05
HELP = "space start · s success · f failure · d y discard · r y redo · m mark this moment · Ctrl-C ends"
# These may delete an episode, and keys for the robot may go astray: they want a key that moves nothing.
ASKED, YES = ("discard", "redo"), "y"


class EpisodeKeys(Node):
    """Calls the recorder's services as keys are pressed, and shows what it answers and what comes next.

    Parameters: `task` (empty: what the session plan has next), `operator`, `terminal` (a device).
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("episode_keys", parameter_overrides=overrides)
        task = self.declare_parameter("task", "").value
        operator = self.declare_parameter("operator", "").value
        self._terminal = Terminal(self.declare_parameter("terminal", "/dev/tty").value)
        begin = StartEpisode.Request(task=task, operator_name=operator)
        stop = self.create_client(StopEpisode, "/recorder/stop")
        self._deeds: dict[str, tuple[Client, Any]] = {
            "start": (self.create_client(StartEpisode, "/recorder/start"), begin),
            "success": (stop, StopEpisode.Request(outcome="success")),
            "failure": (stop, StopEpisode.Request(outcome="failure")),
            "discard": (self.create_client(Trigger, "/recorder/discard"), Trigger.Request()),
            "redo": (self.create_client(Trigger, "/recorder/redo"), Trigger.Request()),
            "moment": (self.create_client(MarkMoment, "/recorder/moment"), MarkMoment.Request(text="key")),
        }
        self._next = self._asked = ""
        self.create_subscription(RecorderState, "/recorder/state", self._show, 10)
        self.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(HELP)

    def destroy_node(self) -> None:
        """Give the terminal back, then destroy the node."""
        self._terminal.close()
        super().destroy_node()

    def _look(self) -> None:
        for key in self._terminal.read():
            action, self._asked = self._asked if key == YES else KEYS.get(key, ""), ""
            if action in ASKED and key != YES:
                self._asked = action
                self.get_logger().info(f"{action} this episode? {YES} does it, any other key does not")
            elif action:
                self._call(action)

    def _call(self, action: str) -> None:
        client, request = self._deeds[action]
        if not client.service_is_ready():
            self.get_logger().warning(f"{action}: there is no recorder ({client.srv_name})")
            return
        client.call_async(request).add_done_callback(self._told(action))

    def _told(self, action: str) -> Callable[[Any], None]:
        def tell(future: Any) -> None:
            answer = future.result()
            log = self.get_logger()
            text = f"{action}: {answer.message or getattr(answer, 'path', '') or 'done'}"
            if answer.success:  # One line for both would be an error: rclpy keeps the severity of a line.
                log.info(text)
            else:
                log.warning(text)

        return tell

    def _show(self, state: RecorderState) -> None:
        """Say what comes next, when that changes."""
        counts = zip(state.plan_tasks, state.plan_done, state.plan_wanted, strict=True)
        told = ", ".join(f"{task} {done}/{wanted}" for task, done, wanted in counts)
        text = f"next: {state.next_prompt} ({told})" if state.next_task else told
        if text and text != self._next:
            self.get_logger().info(text)
        self._next = text


def main() -> int:
    """Run until interrupted."""
    return run(EpisodeKeys)
