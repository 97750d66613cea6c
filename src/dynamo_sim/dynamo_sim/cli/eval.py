"""`dynamo eval`: rollouts of a bundle on a simulated station, without ROS and faster than real time."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch

from dynamo_policies.bundle import Bundle, load_bundle, read_manifest
from dynamo_policies.cli.command import Command
from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.video import VideoWriter, side_by_side
from dynamo_ros.core.rollout import Rollout, rollout
from dynamo_ros.core.runner import Runner
from dynamo_ros.core.station import Station
from dynamo_ros.core.trials import Trial, TrialLog, TrialResult, describe, plan_trials
from dynamo_sim.xarm_kitchen.station import KitchenStation

HEIGHT = 192  # of videos, pixels
STATIONS: dict[str, Callable[[Contract], Station]] = {"xarm_kitchen": KitchenStation}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, help="folder that `dynamo train` wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for results and videos")
    parser.add_argument("--station", help=f"one of {', '.join(STATIONS)}; default: the contract's name")
    parser.add_argument("--trials", type=int, default=10, help="how many rollouts (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first start; the next is one more")
    parser.add_argument(
        "--tasks", help="names separated by commas; default: all that the bundle was made for"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (default 1)")
    parser.add_argument("--device", default="cpu", help="where the encoder runs (default cpu)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="from observation to plan (default 0)")
    parser.add_argument("--video", action=argparse.BooleanOptionalAction, default=True, help="an MP4 of each")


def _run(args: argparse.Namespace) -> int:
    settings = Settings(
        args.bundle, args.out, args.station, args.device, int(args.latency_ms * 1e6), args.video, args.jobs
    )
    manifest = read_manifest(args.bundle)
    tasks = tuple(args.tasks.split(",")) if args.tasks else manifest.tasks
    for task in tasks:
        if task not in manifest.tasks:
            raise UnknownNameError("task", task, manifest.tasks)
    trials = plan_trials(tasks, args.trials, args.seed)
    about = {
        "bundle": str(args.bundle),
        "contract_hash": manifest.contract_hash,
        "seed": args.seed,
        "ros": False,
    }
    log, begun = TrialLog(args.out, trials, about), time.monotonic()
    for result in _results(settings, trials, args.jobs):
        print(log.add(result), flush=True)
    print(f"{describe(log.finish())}; {time.monotonic() - begun:.0f} s")
    return 0


COMMAND = Command("eval", "roll a bundle out on a simulated station, without ROS", _add_arguments, _run)


class Settings(NamedTuple):
    """What all trials of an evaluation share."""

    bundle: Path
    out: Path
    station: str | None
    device: str
    latency_ns: int
    video: bool
    jobs: int


def _results(settings: Settings, trials: list[Trial], jobs: int) -> Iterator[TrialResult]:
    """Yield the results as they come, out of `jobs` processes."""
    if jobs <= 1:
        yield from (_attempt(settings, trial) for trial in trials)
        return
    context = multiprocessing.get_context("spawn")  # neither torch nor OpenGL survives a fork
    with ProcessPoolExecutor(min(jobs, len(trials)), mp_context=context) as pool:
        futures = [pool.submit(_attempt, settings, trial) for trial in trials]
        yield from (future.result() for future in as_completed(futures))


class _Bench(NamedTuple):
    """A station and a policy to roll out on it; one a process."""

    bundle: Bundle
    station: Station
    runner: Runner


@cache
def _bench(settings: Settings) -> _Bench:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // settings.jobs))
    bundle = load_bundle(settings.bundle, device=settings.device)
    name = settings.station or bundle.contract.name
    if name not in STATIONS:
        raise UnknownNameError("station", name, STATIONS)
    return _Bench(bundle, STATIONS[name](bundle.contract), Runner(bundle, clock_ns=time.perf_counter_ns))


def _attempt(settings: Settings, trial: Trial) -> TrialResult:
    bundle, station, runner = _bench(settings)
    run = partial(rollout, station, runner, trial.task, trial.seed, frames=bundle.frames)
    if not settings.video:
        return _result(trial, run(latency_ns=settings.latency_ns), None)
    name = f"trial_{trial.number:03d}_{trial.task}.mp4"
    with VideoWriter(settings.out / name, fps=bundle.contract.policy_rate_hz) as video:
        done = run(
            latency_ns=settings.latency_ns,
            on_frame=lambda images: video.add(side_by_side(images, height=HEIGHT)),
        )
    return _result(trial, done, name)


def _result(trial: Trial, done: Rollout, video: str | None) -> TrialResult:
    return TrialResult(
        number=trial.number,
        task=trial.task,
        seed=trial.seed,
        success=done.success,
        reason=done.reason,
        seconds=round(done.seconds, 2),
        video=video,
        skipped=done.skipped,
        stale=done.stale,
    )
