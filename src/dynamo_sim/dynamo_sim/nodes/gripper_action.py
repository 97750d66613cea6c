"""The gripper's action as the xArm driver serves it, without a thread or a coroutine that waits."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from control_msgs.action import GripperCommand
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse, ServerGoalHandle
from rclpy.node import Node

from dynamo_sim.controllers import RejectedError
from dynamo_sim.xarm_kitchen.station import GripperStatus

# The driver's tolerance of 15 pulses.
REACHED_RAD = 0.015


@runtime_checkable
class GripperStation(Protocol):
    """What a station with a gripper has."""

    def command_gripper(self, position: float) -> None:
        """Begin a gripper action towards `position`; may raise RejectedError."""

    def gripper_status(self) -> GripperStatus:
        """Return where the gripper stands and whether its action is still running."""


class GripperAction:
    """Passes goals on to a station and answers them once its gripper stands still.

    A newer goal does not end an older one: both are answered when the gripper rests. As with the real driver
    a cancel is accepted, and the gripper goes on.
    """

    def __init__(self, node: Node, station: GripperStation, name: str) -> None:
        self._node, self._station = node, station
        self._goals: list[ServerGoalHandle] = []
        self._server = ActionServer(
            node,
            GripperCommand,
            name,
            execute_callback=self._answer,
            goal_callback=lambda _goal: GoalResponse.ACCEPT,
            handle_accepted_callback=self._begin,
            cancel_callback=lambda _handle: CancelResponse.ACCEPT,
        )

    def tend(self) -> None:
        """Answer the goals if the gripper has come to rest."""
        if self._goals and not self._station.gripper_status().active:
            for handle in self._goals:
                handle.execute()
            self._goals.clear()

    def abort(self) -> None:
        """Give up all goals, because the station was reset."""
        for handle in self._goals:
            handle.execute(self._give_up)
        self._goals.clear()

    def destroy(self) -> None:
        """Take the action off the node."""
        self._server.destroy()

    def _begin(self, handle: ServerGoalHandle) -> None:
        try:
            self._station.command_gripper(handle.request.command.position)
        except RejectedError as error:
            self._node.get_logger().warning(f"gripper goal rejected: {error}")
            handle.execute(self._give_up)
            return
        self._goals.append(handle)

    def _answer(self, handle: ServerGoalHandle) -> GripperCommand.Result:
        position = self._station.gripper_status().position
        reached = abs(position - handle.request.command.position) < REACHED_RAD
        handle.succeed()
        return GripperCommand.Result(position=position, reached_goal=reached, stalled=not reached)

    def _give_up(self, handle: ServerGoalHandle) -> GripperCommand.Result:
        handle.abort()
        return GripperCommand.Result(position=self._station.gripper_status().position)
