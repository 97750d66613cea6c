"""What the launch files share: arguments, nodes, drivers, and how a launch ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch import Action, LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from dynamo_ros.core.storage_settings import COMPRESSIONS, IMAGES, STORAGES
from dynamo_ros.locations import config_folder, contract_path
from dynamo_ros.nodes.spin import ENDED_LATE, PROFILE_VARIABLES
from dynamo_ros.packages import LaunchError, require

TELEOP_DEVICES = ("none", "gamepad", "spacemouse", "keyboard", "vr", "kinesthetic")
# Package and executable of each device's own driver, and how it names its topic.
DEVICE_DRIVERS = {
    "gamepad": ("joy", "game_controller_node", []),
    "spacemouse": ("spacenav", "spacenav_node", [("spacenav/joy", "/joy")]),
}
CUES = ("none", "bell", "text")
# How a process of ours ends whose work is done; late, if the middleware hung at the end.
DONE = (0, ENDED_LATE)


def declare(name: str, default: str, description: str, *choices: str) -> DeclareLaunchArgument:
    """Return a launch argument; `choices`, if any, are all that it may be."""
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) or None
    )


def value(context: LaunchContext, name: str) -> str:
    """Return what a launch argument was given."""
    return str(context.launch_configurations[name])


def is_true(context: LaunchContext, name: str) -> bool:
    """Return whether a launch argument is true."""
    return value(context, name).lower() == "true"


def environment() -> list[Action]:
    """Return what every process of ours needs in its environment, unless it is set already."""
    profile = str(config_folder() / "fastdds.xml")
    wanted = dict.fromkeys(PROFILE_VARIABLES, profile)
    return [SetEnvironmentVariable(name, text) for name, text in wanted.items() if not os.environ.get(name)]


def node(
    package: str, executable: str, parameters: Mapping[str, Any], *, sim: bool, remappings: Any = ()
) -> Node:
    """Return one of our nodes, on simulated time or not, named after its executable."""
    return Node(
        package=package,
        executable=executable,
        name=executable,
        parameters=[{"use_sim_time": sim, **parameters}],
        remappings=list(remappings),
        output="screen",
        # Long enough to complete a bag.
        sigterm_timeout="20",
    )


def station(context: LaunchContext, *, max_command_age_ms: float) -> Node:
    """Return the simulated station; its time is the clock of all others."""
    parameters = {
        "contract": str(contract_path(value(context, "contract"))),
        "rtf": float(value(context, "rtf")),
        "seed": int(value(context, "seed")),
        "max_command_age_ms": max_command_age_ms,
    }
    return node("dynamo_sim", "station_node", parameters, sim=False)


def engine_argument() -> DeclareLaunchArgument:
    """Return the launch argument of the engine that runs the policy's encoder."""
    possible = "eager, auto, … (docs/latency.md); empty: auto on a real robot, eager in a simulation"
    return declare("engine", "", f"what runs the policy's encoder: {possible}")


def engine(context: LaunchContext) -> str:
    """Return the engine of `engine_argument`: measured on a real robot, repeatable in a simulation."""
    return value(context, "engine") or ("eager" if is_true(context, "sim") else "auto")


def teleop_arguments(*more: str) -> list[DeclareLaunchArgument]:
    """Return the launch arguments of teleoperation; `more` names who else may be chosen."""
    default = more[0] if more else TELEOP_DEVICES[0]
    return [
        declare("teleop", default, "who moves the robot", *more, *TELEOP_DEVICES),
        declare("vr_host", "127.0.0.1", "this computer's address that a headset sends to (teleop:=vr)"),
    ]


def teleop_device(context: LaunchContext, kind: str) -> list[Action]:
    """Return teleoperation for a device, and the device's driver; nothing for `none`.

    Raises:
        LaunchError: a package is not installed, or a simulated arm is to be led by hand.
    """
    if kind == "none":
        return []
    sim, shared = is_true(context, "sim"), {"contract": str(contract_path(value(context, "contract")))}
    if kind == "kinesthetic":
        return [_kinesthetic(shared, sim=sim)]
    if kind in DEVICE_DRIVERS:
        joy = node("dynamo_ros", "joy_teleop_node", {**shared, "layout": kind}, sim=sim)
        device = [_device_driver(kind), joy]
    else:
        settings = {"keyboard": {}, "vr": {"host": value(context, "vr_host")}}[kind]
        device = [node("dynamo_ros", f"{kind}_teleop_node", {**shared, **settings}, sim=sim)]
    return [*device, node("dynamo_ros", "teleop_node", shared, sim=sim)]


def recorder_arguments() -> list[DeclareLaunchArgument]:
    """Return what a launch may say of the recorder; docs/recording.md explains it."""
    return [
        declare("storage", "mcap", "files of the bags", *STORAGES),
        declare("images", "raw", "cameras as they come, or as JPEG of jpeg_quality", *IMAGES),
        declare("jpeg_quality", "90", "1 to 100"),
        declare("compression", "none", "of all that is no image", *COMPRESSIONS),
        declare("image_compression", "none", "of images", *COMPRESSIONS),
        declare("per_topic", "", "otherwise for single topics, such as wrist=jpeg,/depth/image_raw=zstd"),
        declare("preroll_s", "0.0", "record from so long before the start"),
        declare("plan", "", "YAML file of tasks and how often each is wanted"),
        declare("extra_topics", "/tf,/tf_static,/robot_description", "regular expressions, commas between"),
        declare("robot_serial", "", "stored with each bag"),
        declare("calibration", "", "files to store with each bag, commas between"),
        declare("buttons", "", "of the gamepad, such as start:6,success:11,failure:12"),
        declare("cue", "none", "what tells the operator of start and end", *CUES),
        declare("priority", "-10", "nice value of the recorder, where the system allows it; 0: as started"),
    ]


def recorder_parameters(context: LaunchContext) -> dict[str, Any]:
    """Return the recorder's parameters out of `recorder_arguments`."""
    texts = ("storage", "images", "compression", "image_compression", "per_topic", "plan")
    texts += ("robot_serial", "cue")
    lists = ("extra_topics", "calibration", "buttons")
    return {
        **{name: value(context, name) for name in texts},
        **{name: value(context, name).split(",") for name in lists},
        "jpeg_quality": int(value(context, "jpeg_quality")),
        "priority": int(value(context, "priority")),
        "preroll_s": float(value(context, "preroll_s")),
    }


def fail_with_any() -> RegisterEventHandler:
    """Return what ends the launch, with an error, when one of its processes fails."""

    def check(event: ProcessExited, context: LaunchContext) -> None:
        if event.returncode not in DONE and not context.is_shutdown:
            raise LaunchError(f"{event.process_name} ended with exit code {event.returncode}")

    return RegisterEventHandler(OnProcessExit(on_exit=check))


def end_with(action: Node) -> RegisterEventHandler:
    """Return what ends the launch when the process of `action` is done."""

    def end(event: ProcessExited, _context: LaunchContext) -> list[Action] | None:
        if event.returncode not in DONE:
            return None  # `fail_with_any` deals with it
        return [EmitEvent(event=Shutdown(reason=f"{event.process_name} is done"))]

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=end))


def folder(text: str) -> str:
    """Return a folder given on the command line as an absolute path."""
    return str(Path(text).expanduser().resolve())


def _device_driver(kind: str) -> Action:
    """Return the driver of a device that publishes sensor_msgs/Joy."""
    package, executable, remappings = DEVICE_DRIVERS[kind]
    require([package], f"teleop:={kind}")
    return Node(package=package, executable=executable, remappings=remappings, output="screen")


def _kinesthetic(parameters: Mapping[str, Any], *, sim: bool) -> Action:
    """Return kinesthetic teaching; no teleoperation beside it, for nobody may command an arm that is led."""
    if sim:
        raise LaunchError("teleop:=kinesthetic leads a real arm by hand; it needs sim:=false")
    require(["xarm_msgs"], "teleop:=kinesthetic")
    return node("dynamo_ros", "kinesthetic_teleop_node", parameters, sim=sim)
