"""The xArm kitchen, simulated or real, with a policy or a teleoperation device on it."""

from launch import LaunchDescription

from dynamo_ros.robot_launching import robot_launch


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch dynamo_ros xarm_kitchen.launch.py` runs."""
    return robot_launch("xarm_kitchen")
