"""A commander of the kitchen's arm, and how tests step it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dynamo_policies.contract import load_contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import Commander

ROBOTS = Path(__file__).parents[1] / "config/robots"
CONTRACT = load_contract(ROBOTS / "xarm_kitchen.yaml")
STEPPING = load_contract(ROBOTS / "xarm7_servo_j.yaml")  # its driver takes one step at a time
STEP = STEPPING.arm.period_ns
# How far a joint gets from rest in a period, j t^3 / 6.
FROM_REST = STEPPING.arm.jerk_rad_s3[6] * (STEP / 1e9) ** 3 / 6
ARM = CONTRACT.arm
READY = np.array([0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0])
PERIOD = ARM.period_ns
SECOND = 1_000_000_000
DOWN = np.array(CONTRACT.reference_rotation)


def target(x: float, y: float, z: float, gripper: float = 0.0) -> Target:
    return Target(Pose(np.array([x, y, z]), DOWN), gripper)


def run(
    commander: Commander, since_ns: int, seconds: float, *, follow: bool = True, period: int = PERIOD
) -> list:
    """Step at the contract's rate; the measured arm is where it was commanded if `follow`."""
    commands = []
    for now in range(since_ns + period, since_ns + int(seconds * SECOND) + 1, period):
        command = commander.step(now)
        if command is not None:
            commands.append(command)
            commander.observe(command.joints if follow else READY, now)
    return commands


def joints_of(commands: list) -> np.ndarray:
    """Return the commanded joints (N, 7), after four of standing still at the start."""
    return np.array([*[READY] * 4, *(command.joints for command in commands)])


def commands_of_jog(commander: Commander, period: int = PERIOD) -> list:
    """Return the commands of half a second in which joint 7 is jogged, which goes on."""
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]), 0.0, 9 * SECOND)
    return run(commander, 0, 0.5, period=period)


def jogged(commander: Commander, period: int = PERIOD) -> np.ndarray:
    """Return the joints (7,) of the last of these commands."""
    return commands_of_jog(commander, period)[-1].joints
