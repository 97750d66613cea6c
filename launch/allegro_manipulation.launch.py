"""The xArm 7 with an Allegro hand, simulated or real, with a policy or a teleoperation device on it."""

from launch import LaunchDescription

from dynamo_ros.robot_launching import robot_launch


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch dynamo_ros allegro_manipulation.launch.py` runs."""
    return robot_launch("allegro_manipulation")
