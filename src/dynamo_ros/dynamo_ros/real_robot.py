"""The launch files of a real arm's and of real cameras' vendors, set up as the contract needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, LogInfo
from launch_ros.actions import Node

from dynamo_policies.contract import Contract
from dynamo_policies.sinks import MoveItServoArm, XarmArm
from dynamo_policies.streams import ImageStream
from dynamo_ros.hand_launching import hand_driver_launch, hand_packages
from dynamo_ros.launching import declare, value
from dynamo_ros.locations import config_folder
from dynamo_ros.packages import LaunchError, include, require


class ArmLaunch(NamedTuple):
    """How an arm's driver is started."""

    packages: tuple[str, ...]
    actions: Callable[[Mapping[str, str]], list[Action]]  # by the settings that all launch files share


def _moveit(settings: Mapping[str, str]) -> list[Action]:
    return [include("xarm_moveit_config", "xarm7_moveit_realmove.launch.py", settings)]


def _control(settings: Mapping[str, str]) -> list[Action]:
    """Without MoveIt; the vendor's launch file spawns no controller, so that follows."""
    parameters = str(config_folder() / "controllers" / "xarm7_traj_controller.yaml")
    spawner = Node(
        package="controller_manager",
        executable="spawner",
        arguments=["xarm7_traj_controller", "--param-file", parameters],
        output="screen",
    )
    display = {**settings, "show_rviz": "false"}
    return [include("xarm_controller", "xarm7_control_rviz_display.launch.py", display), spawner]


def _driver(settings: Mapping[str, str]) -> list[Action]:
    return [include("xarm_api", "xarm7_driver.launch.py", settings)]


def _nothing(_settings: Mapping[str, str]) -> list[Action]:
    return []


XARM = "xarm7"  # the kinematics of whose driver the launch files are
ARMS: Mapping[str, ArmLaunch] = {
    "moveit": ArmLaunch(("xarm_moveit_config",), _moveit),
    "control": ArmLaunch(("xarm_controller", "controller_manager"), _control),
    "driver": ArmLaunch(("xarm_api",), _driver),
    "none": ArmLaunch((), _nothing),
}
CAMERAS = {"realsense": ("realsense2_camera",), "usb_cam": ("usb_cam",), "none": ()}


def real_robot_arguments() -> list[DeclareLaunchArgument]:
    """Return what a launch may say of a real robot."""
    return [
        declare("robot_ip", "", "address of the real arm"),
        declare(
            "arm_driver",
            "auto",
            "how its driver is started; auto: as the contract's kind needs; none: it runs already",
            "auto",
            *ARMS,
        ),
        declare("cameras", "realsense", "whose driver is started for the contract's cameras", *CAMERAS),
        declare(
            "camera_ids",
            "",
            "which camera is which: NAME=SERIAL of a RealSense or NAME=/dev/videoN, commas between",
        ),
    ]


def real_robot(context: LaunchContext, contract: Contract) -> list[Action]:
    """Return the launch files of the arm's, hand's and cameras' vendors.

    Raises:
        LaunchError: nothing here starts this kind of arm, a package is not installed, no address was given,
            or a camera is not named.
    """
    robot_ip, arm, cameras = (value(context, name) for name in ("robot_ip", "arm_driver", "cameras"))
    arm = _suiting(contract, arm)
    require([*ARMS[arm].packages, *CAMERAS[cameras], *hand_packages(contract)], "sim:=false")
    if not robot_ip and arm != "none":
        raise LaunchError("sim:=false needs robot_ip:=ADDRESS, as on the sticker of the control box")
    settings = {
        "robot_ip": robot_ip,
        "report_type": "dev",  # the driver's default report comes at 5 Hz
        "hw_ns": contract.arm.namespace.strip("/") if isinstance(contract.arm, XarmArm) else "xarm",
        "add_gripper": str(contract.gripper is not None).lower(),
    }
    hand = [hand_driver_launch(contract.hand)] if contract.hand is not None else []
    ids = camera_ids(contract, value(context, "camera_ids"))
    started = [_camera(cameras, stream, ids.get(name)) for name, stream in contract.cameras.items()]
    return [*ARMS[arm].actions(settings), *hand, *_words(contract), *(one for one in started if one)]


def camera_ids(contract: Contract, text: str) -> dict[str, str]:
    """Return camera name -> serial number or device out of `NAME=ID,NAME=ID`; LaunchError if it is none."""
    pairs = dict(part.strip().split("=", 1) for part in text.split(",") if "=" in part)
    wrong = [part for part in text.split(",") if part.strip() and "=" not in part]
    wrong += [name for name in pairs if name not in contract.cameras]
    if wrong:
        names = ", ".join(contract.cameras)
        raise LaunchError(f"camera_ids: {', '.join(wrong)} is no NAME=ID; the contract's cameras are {names}")
    return pairs


def _suiting(contract: Contract, asked: str) -> str:
    """Return the arm's launch, as asked for or as the contract needs."""
    if asked != "none" and contract.kinematics != XARM:
        raise LaunchError(
            f"nothing here starts the driver of an arm {contract.kinematics}, possible is {XARM}; start it "
            "yourself and give arm_driver:=none"
        )
    if asked == "auto":
        return "driver" if isinstance(contract.arm, XarmArm) else "moveit"
    return asked


def _words(contract: Contract) -> list[Action]:
    if not isinstance(contract.arm, MoveItServoArm):
        return []
    return [LogInfo(msg=f"start MoveIt Servo yourself, as the node {contract.arm.servo}")]


def _camera(driver: str, stream: ImageStream, identity: str | None) -> Action | None:
    """Return a camera's driver on the stream's topic."""
    if driver == "none":
        return None
    return _realsense(stream, identity) if driver == "realsense" else _usb_cam(stream, identity)


def _realsense(stream: ImageStream, serial: str | None) -> Action:
    """On /NAMESPACE/NAME/color/image_raw, whose first two parts the contract chooses."""
    namespace, name, *rest = stream.topic.strip("/").split("/")
    if rest[:2] != ["color", "image_raw"]:
        raise LaunchError(
            f"a RealSense publishes on /NAMESPACE/NAME/color/image_raw; the contract has {stream.topic}"
        )
    profile = f"{stream.width}x{stream.height}x{round(stream.rate_hz)}"
    settings = {"camera_namespace": namespace, "camera_name": name, "rgb_camera.color_profile": profile}
    if serial:
        settings["serial_no"] = f"_{serial}"  # its driver's mark of a text: digits alone become a number
    return include("realsense2_camera", "rs_launch.py", settings)


def _usb_cam(stream: ImageStream, device: str | None) -> Action:
    """Any V4L2 camera; its driver's image_raw becomes the stream's topic."""
    if stream.type != "sensor_msgs/msg/Image":
        raise LaunchError(
            f"usb_cam is started for raw images; the contract has {stream.type} on {stream.topic}"
        )
    base = stream.topic.rpartition("/")[0]
    parameters = {
        "video_device": device or "/dev/video0",
        "image_width": stream.width,
        "image_height": stream.height,
        "framerate": stream.rate_hz,
        "pixel_format": "mjpeg2rgb",
    }
    return Node(
        package="usb_cam",
        executable="usb_cam_node_exe",
        namespace=base,
        parameters=[parameters],
        remappings=[("image_raw", stream.topic), ("camera_info", f"{base}/camera_info")],
        output="screen",
    )
