"""The inference node as others of this project use it."""

from __future__ import annotations

import time
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dynamo_ros.nodes.calls import ANSWER_S, RETRY_S, Caller, CallError
from dynamo_ros.nodes.health import ACTIVE, NAME
from dynamo_ros.nodes.messages import now_ns, to_ns

CONFIGURE_S = 120.0  # real time for networks to load
NODE = "/inference_node"


class Health(NamedTuple):
    """What the inference node last said about itself."""

    stamp_ns: int
    stopped: str  # why the arm is stopped, or empty
    values: dict[str, str]


class InferenceClient:
    """Takes the inference node through episodes. CallError where it refuses or does not answer."""

    def __init__(self, node: Node, caller: Caller) -> None:
        self._node, self._caller = node, caller
        self._health: Health | None = None
        self._active_ns = 0
        self._change = node.create_client(ChangeState, f"{NODE}/change_state")
        self._state = node.create_client(GetState, f"{NODE}/get_state")
        self._rearm = node.create_client(Trigger, f"{NODE}/rearm")
        self._set = node.create_client(SetParameters, f"{NODE}/set_parameters")
        node.create_subscription(DiagnosticArray, "/diagnostics", self._see_health, 10)

    @property
    def stopped(self) -> str:
        """Why the arm was stopped since `begin`; empty where it was not."""
        # A stop that was reported before is over: the node was re-armed.
        health = self._health
        return health.stopped if health is not None and health.stamp_ns > self._active_ns else ""

    def configure(self) -> None:
        """Have the bundle loaded, if it is not."""
        if self._is(State.PRIMARY_STATE_UNCONFIGURED):
            self._transit(Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_S)

    def ready(self) -> None:
        """Bring the node to where it commands nothing, and clear a stop."""
        self._deactivate()
        self._caller.call(self._rearm, Trigger.Request())

    def begin(self, task: str) -> None:
        """Begin an episode of `task`."""
        request = SetParameters.Request(parameters=[Parameter("task", value=task).to_parameter_msg()])
        result = self._caller.ask(self._set, request).results[0]
        if not result.successful:
            raise CallError(f"the inference node does not take task {task!r}: {result.reason}")
        self._activate()
        self._active_ns = now_ns(self._node.get_clock())

    def end(self) -> dict[str, int]:
        """End the episode and return what was counted in it."""
        ending_ns = now_ns(self._node.get_clock())
        self._deactivate()

        def told() -> bool:
            health = self._health
            return health is not None and health.stamp_ns >= ending_ns and health.values[ACTIVE] == str(False)

        self._caller.until(told, "the inference node's report of the episode")
        assert self._health is not None
        return {key: int(value) for key, value in self._health.values.items() if value.isdigit()}

    def _see_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == NAME:
                values = {pair.key: pair.value for pair in status.values}
                stopped = status.message if status.level == DiagnosticStatus.ERROR else ""
                self._health = Health(to_ns(message.header.stamp), stopped, values)

    def _activate(self) -> None:
        """Activate; that is refused until the arm's joints have been heard, so ask for a while."""
        deadline = time.monotonic() + ANSWER_S
        while not self._agrees(Transition.TRANSITION_ACTIVATE, ANSWER_S):
            if time.monotonic() > deadline:
                raise CallError("the inference node can't activate; its log says why")
            self._caller.pause(RETRY_S)

    def _deactivate(self) -> None:
        if self._is(State.PRIMARY_STATE_ACTIVE):
            self._transit(Transition.TRANSITION_DEACTIVATE, "deactivate")

    def _is(self, state: int) -> bool:
        return bool(self._caller.ask_again(self._state, GetState.Request()).current_state.id == state)

    def _transit(self, transition: int, name: str, timeout_s: float = ANSWER_S) -> None:
        if not self._agrees(transition, timeout_s):
            raise CallError(f"the inference node can't {name}; its log says why")

    def _agrees(self, transition: int, timeout_s: float) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self._caller.ask(self._change, request, timeout_s).success)
