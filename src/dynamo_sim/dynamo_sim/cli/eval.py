"""`dynamo eval`: rollouts of a bundle on a simulated station, without ROS and faster than real time."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from dynamo_policies.cli.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, help="folder that `dynamo train` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for results and videos")
    parser.add_argument("--station", help="which simulated station; default: the one of the contract's name")
    parser.add_argument("--trials", type=int, default=10, help="how many rollouts (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first start; the next is one more")
    parser.add_argument(
        "--tasks", help="names separated by commas; default: all that the bundle was made for"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (default 1)")
    parser.add_argument("--device", default="cpu", help="where the encoder runs (default cpu)")
    parser.add_argument(
        "--engine", default="eager", help="what runs the encoder: eager, auto, … (docs/latency.md)"
    )
    parser.add_argument("--latency-ms", type=float, default=0.0, help="from observation to plan (default 0)")
    parser.add_argument(
        "--video", action=argparse.BooleanOptionalAction, default=True, help="write an MP4 of each rollout"
    )


def _run(args: argparse.Namespace) -> int:
    from dynamo_policies.bundle import read_manifest
    from dynamo_policies.report.evaluation import report_evaluation
    from dynamo_ros.core.trials import TrialLog, choose_tasks, describe, plan_trials
    from dynamo_sim.bench import Settings, results

    manifest = read_manifest(args.bundle)
    tasks = choose_tasks(args.tasks.split(",") if args.tasks else [], manifest.tasks)
    trials = plan_trials(tasks, args.trials, args.seed)
    about = {"bundle": str(args.bundle), "contract_hash": manifest.contract_hash, "seed": args.seed}
    log, begun = TrialLog(args.out, trials, about), time.monotonic()
    latency_ns = int(args.latency_ms * 1e6)
    settings = Settings(args.bundle, args.out, args.station, args.device, latency_ns, args.video, args.engine)
    for result in results(settings, trials, args.jobs):
        print(log.add(result), flush=True)
    print(f"{describe(log.finish())}; {time.monotonic() - begun:.0f} s")
    print(f"report: {report_evaluation(args.out)}")
    return 0


COMMAND = Command("eval", "roll a bundle out on a simulated station, without ROS", _add_arguments, _run)
