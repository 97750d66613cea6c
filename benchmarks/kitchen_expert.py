"""The scripted demonstrator of the simulated kitchen: success, contacts, tracking, and its commands.

In one process and simulated time, without ROS and without rendering, so that the figures do not depend on how
busy the computer is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.kinematics import chain
from dynamo_policies.observation import Sample
from dynamo_policies.statistics import wilson
from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.limit_audit import audit_all
from dynamo_sim.demonstrate import PREROLL_NS, run_expert
from dynamo_sim.xarm_kitchen.expert import KitchenExpert
from dynamo_sim.xarm_kitchen.quality import measure_expert
from dynamo_sim.xarm_kitchen.starts import TASKS
from dynamo_sim.xarm_kitchen.station import KitchenStation

CONTRACT = Path(__file__).parents[1] / "config" / "robots" / "xarm_kitchen.yaml"
SHIFTS_S = np.arange(0.0, 0.2, 0.001)
FloatArray = npt.NDArray[np.float64]


def main() -> None:
    """Demonstrate from many starts, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=100, help="of each task, from seed 0 (default 100)")
    parser.add_argument("--shaping", type=int, default=10, help="of them, to follow commands in (default 10)")
    parser.add_argument("--quick", action="store_true", help="2 starts: that it works")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    starts, followed = (2, 1) if options.quick else (options.starts, options.shaping)
    contract = load_contract(CONTRACT)
    station = KitchenStation(contract, render=False)
    figures = {
        "command": " ".join(["python", "benchmarks/kitchen_expert.py", *sys.argv[1:]]),
        "tasks": {task: physics(station, contract, task, starts) for task in TASKS},
        "commands": {task: shaping(station, contract, task, followed) for task in TASKS},
    }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def physics(station: KitchenStation, contract: Contract, task: str, starts: int) -> dict[str, Any]:
    """Return how many of `starts` demonstrations succeed, and how good the physics is meanwhile."""
    runs = [measure_expert(station, contract, task, seed) for seed in range(starts)]
    successes = sum(run.demonstration.outcome.success for run in runs)
    slips, tracking = [run.slip for run in runs], np.concatenate([run.tracking for run in runs])
    return {
        "starts": starts,
        "successes": successes,
        "interval": list(wilson(successes, starts)),
        "stopped": sum(run.demonstration.stopped is not None for run in runs),
        "slip_mm": {"median": _mm(np.median(slips)), "max": _mm(max(slips))},
        "penetration_mm_max": _mm(max(run.penetration for run in runs)),
        "tracking_mm": {"p95": _mm(np.quantile(tracking, 0.95)), "max": _mm(tracking.max())},
        "episode_s_median": float(np.median([run.demonstration.outcome.elapsed_s for run in runs])),
    }


def shaping(station: KitchenStation, contract: Contract, task: str, starts: int) -> dict[str, Any]:
    """Return how far commands come after their targets, and which part of their limits they used."""
    delays, worst = [], []
    for seed in range(starts):
        joints, targets = followed(station, contract, task, seed)
        reached, _ = chain(contract.kinematics).forward(joints, tool_offset_m=contract.tool_offset_m)
        delays.append(delay_s(reached, targets, contract.arm.period_ns / 1e9))
        worst.append(audit_all(contract, joints))
    parts = {name: max(float(one[name]) for one in worst) for name in worst[0]}
    return {"starts": starts, "delay_ms_median": 1000.0 * float(np.median(delays)), "part_of_limit": parts}


def followed(
    station: KitchenStation, contract: Contract, task: str, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return a demonstration's commands (N, J) rad and what was wanted with each, positions (N, 3) m."""
    station.reset(task, seed)
    station.advance(station.time_ns + PREROLL_NS)
    # The same one as `run_expert` makes after it has done the same.
    expert = KitchenExpert(task, station.objects(), station.tool_pose(), np.random.default_rng([seed, 1]))
    joints, targets, periods = [], [], itertools.count()

    def keep(command: ArmCommand | None, _: list[Sample]) -> None:
        wanted = expert.target(next(periods) * contract.arm.period_ns / 1e9)
        if command is not None:
            joints.append(command.joints)
            targets.append(wanted.pose.position)

    run_expert(station, contract, task, seed, on_period=keep)
    return np.array(joints), np.array(targets)


def delay_s(path: FloatArray, targets: FloatArray, period_s: float) -> float:
    """Return by how much `path` (N, 3) m is best moved ahead to lie on `targets`, one a period, in s."""
    times = period_s * np.arange(len(path))
    inside = times >= SHIFTS_S[-1]
    errors = []
    for shift in SHIFTS_S:
        moved = np.stack([np.interp(times - shift, times, axis) for axis in targets.T], axis=1)
        errors.append(np.square(path - moved)[inside].sum())
    return float(SHIFTS_S[int(np.argmin(errors))])


def _mm(metres: float) -> float:
    return round(1000.0 * float(metres), 3)


if __name__ == "__main__":
    main()
