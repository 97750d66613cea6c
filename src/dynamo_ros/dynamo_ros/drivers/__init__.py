"""How a command reaches each kind of driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo_ros.drivers.allegro import joint_command, position_array
from dynamo_ros.drivers.gripper_command import gripper_goal
from dynamo_ros.drivers.joint_trajectory import joint_trajectory

# By the `kind` of the contract's sink: (arm sink, joints) -> message, (position) -> goal, (hand sink, joints)
# -> message.
ARM_MESSAGES: dict[str, Callable[..., Any]] = {"joint_trajectory": joint_trajectory}
GRIPPER_GOALS: dict[str, Callable[[float], Any]] = {"gripper_command": gripper_goal}
HAND_MESSAGES: dict[str, Callable[..., Any]] = {
    "allegro_v4": position_array,
    "allegro_v5": joint_command,
    "allegro_dime": joint_command,
}
