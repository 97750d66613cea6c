"""A real robot's launch, with packages of the vendors that only note how they were started."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros")

from launch import Action, LaunchContext

from dynamo_policies.contract import Contract, load_contract
from dynamo_ros.packages import SOURCES, LaunchError
from dynamo_ros.real_robot import ARMS, CAMERAS, camera_ids, real_robot

ROOT = Path(__file__).parents[2]
ROBOTS = ROOT / "config" / "robots"
IP = "robot_ip:=192.0.2.1"
ARM = {"robot_ip": "192.0.2.1", "report_type": "dev", "hw_ns": "xarm", "add_gripper": "true"}
NOTING = """
import json, uuid
from pathlib import Path
from launch import LaunchDescription
from launch.actions import OpaqueFunction

def note(context):
    given = {{key: str(value) for key, value in context.launch_configurations.items()}}
    (Path({folder!r}) / f"{name}-{{uuid.uuid4()}}.json").write_text(json.dumps(given))

def generate_launch_description():
    return LaunchDescription([OpaqueFunction(function=note)])
"""


class Vendors:
    """A prefix with fake packages; `notes` says how each was started."""

    def __init__(self, folder: Path) -> None:
        self.prefix, self._notes = folder / "prefix", folder / "notes"
        self._notes.mkdir()

    def launch_file(self, package: str, file: str) -> None:
        """Install a package with a launch file."""
        share = self._share(package) / "launch"
        share.mkdir(parents=True)
        (share / file).write_text(NOTING.format(folder=str(self._notes), name=package))

    def executable(self, package: str, name: str) -> None:
        """Install a package with an executable."""
        self._share(package).mkdir(parents=True, exist_ok=True)
        path = self.prefix / "lib" / package / name
        path.parent.mkdir(parents=True)
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{self._notes}/{package}-$$.txt"\n')
        path.chmod(0o755)

    def launch(self, file: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `ros2 launch` with the packages installed."""
        prefixes = f"{self.prefix}{os.pathsep}{os.environ['AMENT_PREFIX_PATH']}"
        command = ["ros2", "launch", str(ROOT / "launch" / file), *words]
        environ = {**os.environ, "AMENT_PREFIX_PATH": prefixes}
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environ)

    def notes(self, package: str) -> list[dict[str, str]]:
        """Return the arguments of each start of a package's launch file."""
        return [json.loads(path.read_text()) for path in sorted(self._notes.glob(f"{package}-*.json"))]

    def words(self, package: str) -> list[list[str]]:
        """Return the words that each start of a package's executable got."""
        return [path.read_text().splitlines() for path in sorted(self._notes.glob(f"{package}-*.txt"))]

    def _share(self, package: str) -> Path:
        index = self.prefix / "share" / "ament_index" / "resource_index" / "packages"
        index.mkdir(parents=True, exist_ok=True)
        (index / package).touch()
        return self.prefix / "share" / package


@pytest.fixture
def vendors(ros_domain: int, tmp_path: Path) -> Vendors:
    return Vendors(tmp_path)


def part(given: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: given.get(key) for key in wanted}


def test_the_kitchen_starts_the_vendors_control_and_a_realsense_for_each_camera(vendors: Vendors) -> None:
    vendors.launch_file("xarm_moveit_config", "xarm7_moveit_realmove.launch.py")
    vendors.launch_file("realsense2_camera", "rs_launch.py")
    ended = vendors.launch("xarm_kitchen.launch.py", "sim:=false", IP, "camera_ids:=wrist=831612073525")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (arm,) = vendors.notes("xarm_moveit_config")
    assert part(arm, ARM) == ARM
    cameras = {note["camera_namespace"]: note for note in vendors.notes("realsense2_camera")}
    assert sorted(cameras) == ["fixed", "wrist"]
    wanted = {"camera_name": "camera", "rgb_camera.color_profile": "128x128x30", "serial_no": "_831612073525"}
    assert part(cameras["wrist"], wanted) == wanted
    assert "serial_no" not in cameras["fixed"]


def test_a_contract_of_services_starts_the_driver_alone_and_usb_cameras_where_asked_for(
    vendors: Vendors,
) -> None:
    vendors.launch_file("xarm_api", "xarm7_driver.launch.py")
    vendors.executable("usb_cam", "usb_cam_node_exe")
    words = ("contract:=xarm7_servo_j", "cameras:=usb_cam", "camera_ids:=fixed=/dev/video2,wrist=/dev/video4")
    ended = vendors.launch("xarm_kitchen.launch.py", "sim:=false", IP, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (arm,) = vendors.notes("xarm_api")
    assert part(arm, ARM) == ARM
    started = vendors.words("usb_cam")
    remapped = sorted(word for words in started for word in words if word.startswith("image_raw:="))
    assert remapped == [f"image_raw:=/{name}/camera/color/image_raw" for name in ("fixed", "wrist")]


def test_control_without_moveit_spawns_the_controller_with_our_settings(vendors: Vendors) -> None:
    vendors.launch_file("xarm_controller", "xarm7_control_rviz_display.launch.py")
    vendors.executable("controller_manager", "spawner")
    ended = vendors.launch(
        "record.launch.py", "sim:=false", IP, "arm_driver:=control", "cameras:=none", "--show-args"
    )
    assert "arm_driver" in ended.stdout
    ended = vendors.launch("xarm_kitchen.launch.py", "sim:=false", IP, "arm_driver:=control", "cameras:=none")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(vendors.notes("xarm_controller")) == 1
    ((controller, option, file, *_),) = vendors.words("controller_manager")
    assert (controller, option) == ("xarm7_traj_controller", "--param-file")
    assert Path(file).read_text().count("interpolate_from_desired_state: true") == 1


def test_what_is_missing_is_named_with_where_it_is_from(vendors: Vendors) -> None:
    ended = vendors.launch("xarm_kitchen.launch.py", "sim:=false", IP)
    text = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert "xarm_moveit_config (build github.com/xArm-Developer/xarm_ros2, branch jazzy" in text
    assert "realsense2_camera (apt install ros-jazzy-realsense2-camera)" in text


def test_a_launch_without_an_address_says_what_it_needs(vendors: Vendors) -> None:
    vendors.launch_file("xarm_api", "xarm7_driver.launch.py")
    words = ("sim:=false", "contract:=xarm7_ee_vel", "cameras:=none")
    ended = vendors.launch("xarm_kitchen.launch.py", *words)
    assert ended.returncode == 1
    assert "sim:=false needs robot_ip:=ADDRESS" in ended.stdout + ended.stderr


def test_every_package_that_may_be_missing_has_a_source() -> None:
    needed = {name for arm in ARMS.values() for name in arm.packages}
    assert needed | {name for names in CAMERAS.values() for name in names} <= set(SOURCES)


def test_cameras_are_named_as_the_contract_has_them(contract: Contract) -> None:
    assert camera_ids(contract, "") == {}
    assert camera_ids(contract, "fixed=1, wrist=2") == {"fixed": "1", "wrist": "2"}
    for wrong in ("front=1", "fixed"):
        with pytest.raises(LaunchError, match=r"camera_ids: .* the contract's cameras are fixed, wrist"):
            camera_ids(contract, wrong)


def of_robot(contract: Contract, **arguments: str) -> list[Action]:
    context = LaunchContext()
    context.launch_configurations.update(
        {"robot_ip": "", "arm_driver": "auto", "cameras": "none", "camera_ids": ""} | arguments
    )
    return real_robot(context, contract)


@pytest.mark.parametrize("asked", ["auto", "moveit"])
def test_the_xarms_launch_files_are_for_no_other_arm(asked: str) -> None:
    franka = dataclasses.replace(load_contract(ROBOTS / "franka_allegro.yaml"), hand=None)
    with pytest.raises(LaunchError, match=r"arm fr3, possible is xarm7; .* arm_driver:=none"):
        of_robot(franka, arm_driver=asked)
    assert of_robot(franka, arm_driver="none") == []


@pytest.mark.parametrize("path", sorted(ROBOTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_only_an_xarm_is_asked_for_the_xarms_state(path: Path) -> None:
    robot = load_contract(path)
    assert (robot.gates.robot_state.topic is not None) == (robot.kinematics == "xarm7")
