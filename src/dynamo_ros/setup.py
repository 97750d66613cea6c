"""Packaging of dynamo_ros: nodes, and the launch and configuration files of the whole stack."""

from collections import defaultdict
from importlib.util import find_spec
from os.path import relpath
from pathlib import Path

from setuptools import find_packages, setup

# Resolved, because the workspace reaches this folder through a symlink, and colcon's build through another.
PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent.parent
SHARE = Path("share/dynamo_ros")
NODES = (
    "recorder_node",
    "episode_keys",
    "monitor_node",
    "teleop_node",
    "joy_teleop_node",
    "keyboard_teleop_node",
    "vr_teleop_node",
    "kinesthetic_teleop_node",
    "inference_node",
    "evaluation_node",
)


def shared_files() -> list[tuple[str, list[str]]]:
    """Return (folder in the installation, files) for everything under launch/ and config/."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted([*ROOT.glob("launch/*.launch.py"), *ROOT.glob("config/**/*.*")]):
        folders[str(SHARE / path.parent.relative_to(ROOT))].append(relpath(path, PACKAGE))
    return list(folders.items())


def ros2_commands() -> list[str]:
    """Return our `ros2 launch` where ROS 2 comes without its own, and nothing elsewhere."""
    return [] if find_spec("ros2launch") else ["launch = dynamo_ros.launch_command:LaunchCommand"]


setup(
    name="dynamo_ros",
    version="0.1.0",
    description="Deployment on ROS 2: recorder, teleoperation, realtime inference and evaluation nodes.",
    maintainer="DynaMo on ROS 2 maintainers",
    maintainer_email="maintainers@dynamo-ros.example.org",
    license="Apache-2.0",
    packages=find_packages(include=["dynamo_ros", "dynamo_ros.*"]),
    package_data={"dynamo_ros": ["py.typed", "nodes/faults/own_clock.c"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/dynamo_ros"]),
        (str(SHARE), ["package.xml"]),
        *shared_files(),
    ],
    python_requires=">=3.10,<3.13",
    install_requires=["numpy>=1.26,<3", "pyyaml>=6", "ruckig>=0.19,<1"],
    extras_require={"vr": ["pyzmq>=25"]},
    entry_points={
        "console_scripts": [f"{name} = dynamo_ros.nodes.{name}:main" for name in NODES],
        "dynamo.commands": [f"{name} = dynamo_ros.cli.{name}:COMMAND" for name in ("faults", "replay")],
        "ros2cli.command": ros2_commands(),
    },
    zip_safe=True,
)
