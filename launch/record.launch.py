"""Record demonstrations: recorder and teleoperation; simulated also station and scripted demonstrator."""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from dynamo_ros.launching import (
    TELEOP_DEVICES,
    LaunchError,
    declare,
    end_with,
    environment,
    fail_with_any,
    folder,
    is_true,
    node,
    recorder_arguments,
    recorder_parameters,
    station,
    teleop_arguments,
    teleop_device,
    value,
)
from dynamo_ros.locations import contract_path, find_contract
from dynamo_ros.real_robot import real_robot, real_robot_arguments

# What only a simulated station says: how the attempt went, and where things are, for `dynamo probe`.
EXTRAS = [
    "/station/outcome:dynamo_interfaces/msg/Outcome",
    "/station/objects:geometry_msgs/msg/PoseArray",
]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch dynamo_ros record.launch.py` runs."""
    return LaunchDescription(
        [
            declare("contract", "xarm_kitchen", "robot contract, a name or a path"),
            declare("out", "out/bags", "folder of the bags, one for each episode"),
            declare("sim", "true", "simulate the robot", "true", "false"),
            *teleop_arguments("expert"),
            declare("tasks", "", "tasks that the expert demonstrates, with commas between; empty: all"),
            declare("episodes", "24", "successes that the expert needs for each task"),
            declare("seed", "0", "first start state"),
            declare("discard_failures", "false", "throw the expert's failed attempts away", "true", "false"),
            declare("rtf", "4.0", "real-time factor of the simulation; 0: as fast as it can"),
            declare("max_command_age_ms", "20", "simulated time waits for later commands; 0: never"),
            declare(
                "monitor", "auto", "watch the sensors; auto: if a person records", "auto", "true", "false"
            ),
            *real_robot_arguments(),
            *recorder_arguments(),
            *environment(),
            fail_with_any(),
            OpaqueFunction(function=_actions),
        ]
    )


def _actions(context: LaunchContext) -> list[Action]:
    sim, teleop = is_true(context, "sim"), value(context, "teleop")
    contract = str(contract_path(value(context, "contract")))
    demonstrator = _expert(context) if teleop == "expert" else teleop_device(context, teleop)
    recording = {
        "contract": contract,
        "out": folder(value(context, "out")),
        "extras": EXTRAS if sim else [""],
        **recorder_parameters(context),
    }
    recorder = node("dynamo_ros", "recorder_node", recording, sim=sim)
    age_ms = float(value(context, "max_command_age_ms"))
    robot = (
        [station(context, max_command_age_ms=age_ms)] if sim else real_robot(context, find_contract(contract))
    )
    return [recorder, *_monitor(context, contract), *robot, *demonstrator]


def _monitor(context: LaunchContext, contract: str) -> list[Action]:
    """Return what tells slow, frozen and dead sensors while somebody is there to be told."""
    wanted = value(context, "monitor")
    if wanted == "false" or (wanted == "auto" and value(context, "teleop") == "expert"):
        return []
    return [node("dynamo_ros", "monitor_node", {"contract": contract}, sim=is_true(context, "sim"))]


def _expert(context: LaunchContext) -> list[Action]:
    """Return the scripted demonstrator; the launch ends with it."""
    if not is_true(context, "sim"):
        devices = ", ".join(TELEOP_DEVICES)
        raise LaunchError(f"teleop:=expert needs sim:=true; a real robot is led with one of {devices}")
    contract = str(contract_path(value(context, "contract")))
    session = {
        "contract": contract,
        "tasks": value(context, "tasks").split(","),
        "episodes": int(value(context, "episodes")),
        "seed": int(value(context, "seed")),
        "discard_failures": is_true(context, "discard_failures"),
    }
    expert = node("dynamo_sim", "expert_node", session, sim=True)
    return [node("dynamo_ros", "teleop_node", {"contract": contract}, sim=True), expert, end_with(expert)]
