"""How a command reaches each kind of driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from dynamo_policies.contract import Contract
from dynamo_policies.sinks import Gripper
from dynamo_ros.drivers.allegro import joint_command, position_array
from dynamo_ros.drivers.arm import ArmDriver, GripperDriver
from dynamo_ros.drivers.bus import Bus
from dynamo_ros.drivers.grippers import GripperCommandDriver, XarmGripperDriver
from dynamo_ros.drivers.joint_trajectory import TrajectoryDriver
from dynamo_ros.drivers.moveit_servo import ServoJogDriver, ServoTwistDriver
from dynamo_ros.drivers.xarm_online import CartesianOnlineDriver
from dynamo_ros.drivers.xarm_servo import CartesianServoDriver, ServoJointDriver
from dynamo_ros.drivers.xarm_velocity import CartesianVelocityDriver, JointVelocityDriver

# By the `kind` of the contract's sink.
ARM_DRIVERS: dict[str, Callable[[Bus, Contract], ArmDriver]] = {
    "joint_trajectory": TrajectoryDriver,
    "servo_joint": ServoJointDriver,
    "cartesian_servo": CartesianServoDriver,
    "cartesian_online": CartesianOnlineDriver,
    "cartesian_velocity": CartesianVelocityDriver,
    "joint_velocity": JointVelocityDriver,
    "servo_twist": ServoTwistDriver,
    "servo_jog": ServoJogDriver,
}
GRIPPER_DRIVERS: dict[str, Callable[[Bus, Gripper], GripperDriver]] = {
    "gripper_command": GripperCommandDriver,
    "xarm_gripper_service": XarmGripperDriver,
}
# (hand sink, joints) -> message
HAND_MESSAGES: dict[str, Callable[..., Any]] = {
    "allegro_v4": position_array,
    "allegro_v5": joint_command,
    "allegro_dime": joint_command,
}
HAND_TYPES: dict[str, type] = {
    "allegro_v4": Float64MultiArray,
    "allegro_v5": JointState,
    "allegro_dime": JointState,
}
