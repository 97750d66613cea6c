"""Rollouts of a bundle on a simulated station, in one process or several, faster than real time."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch

from dynamo_policies.bundle import Bundle, load_bundle
from dynamo_policies.engines.choice import use_engine
from dynamo_policies.video import VideoWriter, side_by_side
from dynamo_ros.core.rollout import Rollout, rollout
from dynamo_ros.core.runner import Runner
from dynamo_ros.core.station import Station
from dynamo_ros.core.trials import Trial, TrialResult
from dynamo_sim.stations import station_kind

HEIGHT = 192  # of videos, pixels


class Settings(NamedTuple):
    """What all trials of an evaluation share."""

    bundle: Path
    out: Path
    station: str | None
    device: str
    latency_ns: int
    video: bool
    engine: str = "eager"


def results(settings: Settings, trials: list[Trial], jobs: int) -> Iterator[TrialResult]:
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
    # Further threads wait for one another when cores are busy: a tenth of the speed was measured.
    torch.set_num_threads(1)
    bundle = load_bundle(settings.bundle, device=settings.device)
    use_engine(bundle.embedder, settings.engine, clock_ns=time.perf_counter_ns, policy=bundle.policy)
    kind = station_kind(settings.station or bundle.contract.name)
    return _Bench(bundle, kind.station(bundle.contract), Runner(bundle, clock_ns=time.perf_counter_ns))


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
