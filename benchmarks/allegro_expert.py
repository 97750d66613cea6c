"""The scripted demonstrator of the Allegro station: success rate, slip and depth of contacts, without ROS."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from dynamo_policies.contract import load_contract
from dynamo_policies.statistics import wilson
from dynamo_ros.locations import contract_path
from dynamo_sim.allegro_manipulation.station import AllegroStation
from dynamo_sim.demonstrate import run_expert

OFF_TABLE_M = 0.05  # the sponge's middle: from here to the end it should not move in the hand


def main() -> None:
    """Demonstrate from many starts and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5 starts instead of 100")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    figures = measure(5 if arguments.quick else 100)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measure(starts: int) -> dict[str, object]:
    """Return the figures over `starts` start states."""
    contract = load_contract(contract_path("allegro_manipulation"))
    station = AllegroStation(contract, render=False)
    successes, slips, depths, seconds, failures = 0, [], [], [], {}
    begun = time.process_time()
    for seed in range(starts):
        places: list[np.ndarray] = []

        def look(*_: object, places: list[np.ndarray] = places) -> None:
            if station.objects()["sponge"].position[2] > OFF_TABLE_M:
                places.append(station.sponge_in_tool())

        done = run_expert(station, contract, "pick_sponge", seed, on_period=look)
        successes += done.outcome.success
        seconds.append(done.outcome.elapsed_s)
        depths.append(1000.0 * station.penetration_m())
        slips.append(1000.0 * max((float(np.linalg.norm(p - places[0])) for p in places), default=0.0))
        if not done.outcome.success:
            failures[seed] = str(done.stopped or done.outcome.reason)
    low, high = wilson(successes, starts)
    return {
        "starts": starts,
        "successes": successes,
        "interval": [round(low, 3), round(high, 3)],
        "failures": failures,
        "slip_mm_p50": round(float(np.median(slips)), 1),
        "slip_mm_max": round(max(slips), 1),
        "penetration_mm_max": round(max(depths), 1),
        "demonstration_s_p50": round(float(np.median(seconds)), 2),
        "cpu_s_each": round((time.process_time() - begun) / starts, 2),
    }


if __name__ == "__main__":
    main()
