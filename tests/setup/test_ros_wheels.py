from pathlib import Path

import pytest

from dynamo_setup.environ import without_checkout
from dynamo_setup.layout import Layout
from dynamo_setup.ros_wheels import BRIDGE_ROOT, BUILD_INCLUDE, BUILD_NUMPY, target_of, write_scripts

CLI_INFO = "ros2cli-0.32.11-py3.12.egg-info"
PACKAGES, DEFINITIONS = Path("packages"), Path("definitions")


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("rclpy/launch/actions/include.py", PACKAGES / "launch/actions/include.py"),
        (f"rclpy/{CLI_INFO}/entry_points.txt", PACKAGES / CLI_INFO / "entry_points.txt"),
        ("share/control_msgs/msg/JointJog.msg", DEFINITIONS / "control_msgs/msg/JointJog.msg"),
        ("share/control_msgs/package.xml", DEFINITIONS / "control_msgs/package.xml"),
        ("rclpy/sensor_msgs/msg/_image.py", None),
        ("rclpy/rclpy/node.py", None),
        ("rclpy/launch/", None),
        ("share/control_msgs/msg/JointJog.idl", None),
        ("share/nav2_msgs/msg/Costmap.msg", None),
    ],
)  # fmt: skip
def test_only_the_named_parts_leave_the_wheel(name: str, target: Path | None) -> None:
    assert target_of(BRIDGE_ROOT + name, PACKAGES, DEFINITIONS) == target


def test_nothing_outside_the_jazzy_folder_leaves_the_wheel() -> None:
    assert target_of("isaacsim/LICENSE.txt", PACKAGES, DEFINITIONS) is None
    assert (
        target_of(BRIDGE_ROOT.replace("jazzy", "humble") + "rclpy/launch/a.py", PACKAGES, DEFINITIONS) is None
    )


def test_scripts_start_with_the_environments_python(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    (layout.venv / "bin").mkdir(parents=True)
    info = tmp_path / "ros2cli-1-py3.12.egg-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "[console_scripts]\nros2 = ros2cli.cli:main\n\n[ros2cli.command]\na = b:c\n"
    )
    write_scripts(layout, tmp_path)
    script = layout.venv / "bin" / "ros2"
    assert script.read_text().startswith(f"#!{layout.python}\n")
    assert "from ros2cli.cli import main" in script.read_text()
    assert not (layout.venv / "bin" / "a").exists()


def test_build_folders_of_every_python_are_recognised() -> None:
    root = "/opt/python/cp312-cp312"
    old = f"{root}/include/python3.12;{root}/lib/python3.12/site-packages/numpy/_core/include"
    assert BUILD_INCLUDE.sub("I", BUILD_NUMPY.sub("N", old)) == "I;N"


def test_a_sourced_env_sh_leaves_no_trace(tmp_path: Path) -> None:
    ours = {
        "PATH": f"{tmp_path}/.venv/bin:/usr/bin",
        "PYTHONPATH": f"{tmp_path}/ros2_ws/build/dynamo_ros",
        "AMENT_PREFIX_PATH": f"{tmp_path}/.venv",
        "VIRTUAL_ENV": f"{tmp_path}/.venv",
        "ROS_DISTRO": "jazzy",
        "HOME": "/home/user",
    }
    assert without_checkout(ours, tmp_path) == {"PATH": "/usr/bin", "HOME": "/home/user"}


def test_a_sourced_ros_stays(tmp_path: Path) -> None:
    theirs = {"AMENT_PREFIX_PATH": f"/opt/ros/jazzy:{tmp_path}/.venv", "ROS_DISTRO": "jazzy"}
    assert without_checkout(theirs, tmp_path) == {
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
        "ROS_DISTRO": "jazzy",
    }
