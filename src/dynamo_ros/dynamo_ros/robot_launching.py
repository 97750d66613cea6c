"""A robot, simulated or real, with a policy or a teleoperation device on it if wanted."""

from __future__ import annotations

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import LogInfo, OpaqueFunction

from dynamo_ros.launching import (
    declare,
    engine,
    engine_argument,
    environment,
    fail_with_any,
    folder,
    is_true,
    node,
    station,
    teleop_arguments,
    teleop_device,
    value,
)
from dynamo_ros.locations import contract_path, find_contract
from dynamo_ros.real_robot import real_robot, real_robot_arguments

WAITS = (
    "the policy waits for a person: ros2 lifecycle set /inference_node configure, then … activate; "
    "or launch with autostart:=true"
)


def robot_launch(contract: str) -> LaunchDescription:
    """Return what the launch file of the robot called `contract` runs."""
    return LaunchDescription(
        [
            declare("contract", contract, "robot contract, a name or a path"),
            declare("sim", "true", "simulate the robot", "true", "false"),
            declare("bundle", "", "bundle of the policy to run; empty: none"),
            declare("task", "", "task of the policy; empty: the bundle's first"),
            declare(
                "autostart",
                "auto",
                "activate the policy once all streams have come; auto: unless it moves a real robot",
                *("auto", "true", "false"),
            ),
            declare(
                "shadow", "false", "run the policy beside who commands, without authority", "true", "false"
            ),
            declare("device", "cpu", "where the policy's networks run"),
            engine_argument(),
            *teleop_arguments(),
            declare("realtime", "10", "priority of commands on a real robot, 1 to 99; 0: ordinary"),
            declare("rtf", "1.0", "real-time factor of the simulation; 0: as fast as it can"),
            declare("seed", "0", "start state of the simulation"),
            *real_robot_arguments(),
            *environment(),
            fail_with_any(),
            OpaqueFunction(function=_actions),
        ]
    )


def _actions(context: LaunchContext) -> list[Action]:
    robot = (
        # In the face of a policy the station keeps its pace: what comes late is late, as on the real robot.
        [station(context, max_command_age_ms=0.0)]
        if is_true(context, "sim")
        else real_robot(context, find_contract(value(context, "contract")))
    )
    policy = _policy(context) if value(context, "bundle") else []
    return [*robot, *policy, *teleop_device(context, value(context, "teleop"))]


def _policy(context: LaunchContext) -> list[Action]:
    sim, shadow = is_true(context, "sim"), is_true(context, "shadow")
    asked = value(context, "autostart")
    autostart = sim or shadow if asked == "auto" else asked == "true"
    parameters = {
        "bundle": folder(value(context, "bundle")),
        # The gates of the robot's own contract count, not those that the bundle was made with.
        "contract": str(contract_path(value(context, "contract"))),
        "task": value(context, "task"),
        "device": value(context, "device"),
        "engine": engine(context),
        "autostart": autostart,
        "authority": "shadow" if shadow else "full",
        "realtime": 0 if sim else int(value(context, "realtime")),
    }
    policy = node("dynamo_ros", "inference_node", parameters, sim=sim)
    return [policy] if autostart else [policy, LogInfo(msg=WAITS)]
