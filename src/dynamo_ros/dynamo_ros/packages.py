"""Packages of others that a launch needs: whether they are installed, and where they are from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from launch import Action
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from dynamo_policies.errors import DynamoError

# What to do about a package that is missing.
XARM = "build github.com/xArm-Developer/xarm_ros2, branch jazzy, and source its workspace"
SOURCES = {
    "allegro_hand_bringup": "build github.com/Wonikrobotics-git/allegro_hand_ros2 and source its workspace",
    "joy": "apt install ros-jazzy-joy",
    "moveit_msgs": "apt install ros-jazzy-moveit-servo",
    "realsense2_camera": "apt install ros-jazzy-realsense2-camera",
    "spacenav": "apt install ros-jazzy-spacenav",
    "usb_cam": "apt install ros-jazzy-usb-cam",
    "controller_manager": "apt install ros-jazzy-controller-manager",
    "xarm_api": XARM,
    "xarm_controller": XARM,
    "xarm_moveit_config": XARM,
    "xarm_msgs": XARM,
}


class LaunchError(DynamoError):
    """A launch can't begin, or a process of it failed."""


def require(packages: Iterable[str], reason: str) -> None:
    """Raise LaunchError, which names each missing package and its source, unless all are installed."""
    missing = [name for name in dict.fromkeys(packages) if not is_installed(name)]
    if missing:
        texts = [f"{name} ({SOURCES[name]})" for name in missing]
        raise LaunchError(f"{reason} needs packages that are not installed: {', '.join(texts)}")


def is_installed(package: str) -> bool:
    """Return whether the package is in a sourced workspace."""
    try:
        get_package_share_path(package)
    except PackageNotFoundError:
        return False
    return True


def include(package: str, file: str, arguments: Mapping[str, str]) -> Action:
    """Return the launch file of a package, with these arguments."""
    path = Path(get_package_share_path(package)) / "launch" / file
    if not path.is_file():
        raise LaunchError(f"package {package} has no launch/{file}; is it another version?")
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)), launch_arguments=list(arguments.items())
    )
