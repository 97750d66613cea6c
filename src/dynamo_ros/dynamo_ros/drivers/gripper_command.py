"""Goals for grippers that take control_msgs/GripperCommand."""

from __future__ import annotations

from control_msgs.action import GripperCommand


def gripper_goal(position: float) -> GripperCommand.Goal:
    """Return the goal `position`, in the driver's unit; the effort is left to the driver."""
    goal = GripperCommand.Goal()
    goal.command.position = float(position)
    goal.command.max_effort = 0.0
    return goal
