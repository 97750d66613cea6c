"""Evaluate a policy: station, recorder, inference and the evaluation that works through the trials."""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from dynamo_ros.launching import (
    declare,
    end_with,
    engine,
    engine_argument,
    environment,
    fail_with_any,
    folder,
    is_true,
    node,
    station,
    value,
)
from dynamo_ros.locations import contract_path, find_contract
from dynamo_ros.real_robot import real_robot, real_robot_arguments

EXTRAS = [
    "/station/outcome:dynamo_interfaces/msg/Outcome",
    "/diagnostics:diagnostic_msgs/msg/DiagnosticArray",
    "/dynamo/authority:std_msgs/msg/String",
    "/inference_node/stopped:std_msgs/msg/String",
    "/inference_node/timing:diagnostic_msgs/msg/DiagnosticArray",
]


def generate_launch_description() -> LaunchDescription:
    """Return what `ros2 launch dynamo_ros evaluate.launch.py` runs."""
    return LaunchDescription(
        [
            declare("bundle", "out/bundle", "folder of the bundle to evaluate"),
            declare("contract", "xarm_kitchen", "robot contract, a name or a path; must be the bundle's"),
            declare("sim", "true", "simulate the robot; else a person resets and judges", "true", "false"),
            declare("trials", "10", "how many"),
            declare("tasks", "", "tasks, with commas between; empty: all of the bundle"),
            declare("seed", "0", "start state of the first trial; the next is one more"),
            declare("out", "out/rollouts", "folder for bags, trials.json and summary.json"),
            declare("name", "", "a title for the evaluation"),
            declare("rtf", "1.0", "real-time factor of the simulation; 0: as fast as it can"),
            declare(
                "max_command_age_ms", "100", "simulated time waits for a computer held up longer; 0: never"
            ),
            declare("device", "cpu", "where the policy's networks run"),
            engine_argument(),
            declare("realtime", "10", "priority of commands on a real robot, 1 to 99; 0: ordinary"),
            *real_robot_arguments(),
            *environment(),
            fail_with_any(),
            OpaqueFunction(function=_actions),
        ]
    )


def _actions(context: LaunchContext) -> list[Action]:
    sim, contract = is_true(context, "sim"), str(contract_path(value(context, "contract")))
    bundle, out = folder(value(context, "bundle")), folder(value(context, "out"))
    robot = (
        # Inference takes the time it takes; only a computer that is too busy to command holds time up.
        [station(context, max_command_age_ms=float(value(context, "max_command_age_ms")))]
        if sim
        else real_robot(context, find_contract(contract))
    )
    recording = {"contract": contract, "out": f"{out}/bags", "extras": EXTRAS if sim else EXTRAS[1:]}
    policy = {
        "bundle": bundle,
        "contract": contract,
        "device": value(context, "device"),
        "engine": engine(context),
        "realtime": 0 if sim else int(value(context, "realtime")),
    }
    plan = {
        "bundle": bundle,
        "simulated": sim,
        "trials": int(value(context, "trials")),
        "tasks": value(context, "tasks").split(","),
        "seed": int(value(context, "seed")),
        "out": out,
        "name": value(context, "name"),
    }
    evaluation = node("dynamo_ros", "evaluation_node", plan, sim=sim)
    return [
        *robot,
        node("dynamo_ros", "recorder_node", recording, sim=sim),
        node("dynamo_ros", "inference_node", policy, sim=sim),
        evaluation,
        end_with(evaluation),
    ]
