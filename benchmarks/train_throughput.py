"""Pretraining throughput: `pretrain` as it is, against a plain loop with the same objective on one machine.

A step of either side learns from the same number of windows, those of `config/pretrain/dynamo.yaml`: 6
segments of 12 ticks hold 48 windows of 5 ticks, each of two cameras. Ours encodes the 144 images of a step
once, in bf16 and channels_last, out of memory-mapped files; the plain loop (`plain_loop.py`) takes 48 windows
drawn from all episodes and encodes their 480 images in float32 and NCHW, each decoded by a DataLoader. What
is counted is windows a second. Each side has a process of its own and waits while the other works; blocks of
steps take turns, and the ratio is that of the medians of the blocks. 2 minutes on an idle machine with two
cores, --probe 3 more.

--probe trains both for the same number of windows and compares what a ridge regression on the frozen features
says of held-out episodes. --memory measures the peak memory of a run over 10 000 ticks of two cameras at
128x128. --profile says where our time goes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import multiprocessing.connection
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from plain_loop import PlainLoop, windows_of
from train_costs import memory, profiled
from train_probe import probe
from train_sides import CONFIG, ORIGIN, Options, begin, draw_scenes, our_recipe, sampler_of

from dynamo_policies.pretraining import StepReport, pretrain
from dynamo_policies.recipes import Recipe, load_recipe

ENDLESS = 1_000_000


class Block(NamedTuple):
    """How long some steps took: by the clock, and on all processors together, seconds."""

    wall: float
    cpu: float


class EnoughError(Exception):
    """The other end of the pipe has heard enough."""


def our_side(pipe: multiprocessing.connection.Connection, options: Options) -> None:
    """Pretrain for as many steps as are asked for, block by block."""
    begin(options)
    sampler = sampler_of(draw_scenes(options.folder))
    steps, began = asked(pipe), now()

    def on_step(_: StepReport) -> None:
        nonlocal steps, began
        steps -= 1
        if steps == 0:
            pipe.send(since(began))
            steps, began = asked(pipe), now()

    recipe, out = our_recipe(options, steps=ENDLESS), options.folder / "ours"
    with contextlib.suppress(EnoughError):
        pretrain(recipe, sampler, out, origin=ORIGIN, device=options.device, on_step=on_step)


def plain_side(pipe: multiprocessing.connection.Connection, options: Options) -> None:
    """Train the plain loop for as many steps as are asked for, block by block."""
    begin(options)
    recipe = load_recipe(CONFIG, steps=ENDLESS)
    loop = PlainLoop(draw_scenes(options.folder), recipe, options.device, options.workers)
    with contextlib.suppress(EnoughError):
        while True:
            steps, began = asked(pipe), now()
            loop.run(steps)
            pipe.send(since(began))


def asked(pipe: multiprocessing.connection.Connection) -> int:
    """Return how many steps are to be done next."""
    steps = int(pipe.recv())
    if steps == 0:
        raise EnoughError
    return steps


def now() -> Block:
    """Return both clocks, once the device has done all that it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return Block(time.perf_counter(), time.process_time())


def since(began: Block) -> Block:
    """Return what both clocks have moved on by."""
    return Block(*(late - early for late, early in zip(now(), began, strict=True)))


def throughput(options: Options, *, rounds: int, ours: int, plain: int) -> dict[str, Any]:
    """Return the blocks of both sides, in turns of `ours` and `plain` steps, and what they come to."""
    context = multiprocessing.get_context("spawn")
    sides: dict[str, tuple[Callable[..., None], int]] = {
        "ours": (our_side, ours),
        "plain": (plain_side, plain),
    }
    pipes, workers = {}, []
    for name, (run, _) in sides.items():
        pipes[name], theirs = context.Pipe()
        workers.append(context.Process(target=run, args=(theirs, options)))
        workers[-1].start()
    found: dict[str, list[Block]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (_, steps) in sides.items():
            pipes[name].send(steps if turn else 2)
            block = pipes[name].recv()
            if turn:  # the first one warms up
                found[name].append(Block(*(value / steps for value in block)))
    for name, worker in zip(sides, workers, strict=True):
        pipes[name].send(0)
        worker.join()
    return summary(found, load_recipe(CONFIG))


def summary(found: dict[str, list[Block]], recipe: Recipe) -> dict[str, Any]:
    """Return medians and ratios of seconds a step."""
    windows, window = windows_of(recipe), recipe.objective.ticks
    wall = {name: statistics.median(one.wall for one in blocks) for name, blocks in found.items()}
    cpu = {name: statistics.median(one.cpu for one in blocks) for name, blocks in found.items()}
    return {
        "ratio": wall["plain"] / wall["ours"],
        "cpu_ratio": cpu["plain"] / cpu["ours"],
        "windows_per_second": {name: windows / seconds for name, seconds in wall.items()},
        "frames_in_windows_per_second": {name: 2 * window * windows / value for name, value in wall.items()},
        "images_encoded_per_step": {
            "ours": 2 * recipe.run.segments * recipe.run.segment_length,
            "plain": 2 * window * windows,
        },
        "windows_per_step": windows,
        "seconds_per_step": {name: [one.wall for one in blocks] for name, blocks in found.items()},
        "cpu_seconds_per_step": cpu,
    }


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it works")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of either side")
    parser.add_argument("--workers", type=int, default=0, help="the plain loop's DataLoader workers")
    parser.add_argument("--compile", action="store_true", help="compile our side")
    parser.add_argument(
        "--probe", type=int, nargs="?", const=40, metavar="STEPS", help="compare probes as well"
    )
    parser.add_argument("--memory", action="store_true", help="measure the peak memory as well")
    parser.add_argument("--profile", action="store_true", help="profile our side as well")
    arguments = parser.parse_args()
    turns = {"rounds": 2, "ours": 2, "plain": 1} if arguments.quick else {"rounds": 7, "ours": 6, "plain": 2}
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            Path(folder), arguments.device, arguments.threads, arguments.compile, arguments.workers, "auto"
        )
        result = throughput(options, **turns)
        if arguments.probe:
            result["probe"] = probe(options, 1 if arguments.quick else arguments.probe)
        if arguments.memory:
            result["memory"] = memory(options)
        if arguments.profile:
            result["profile"] = profiled(options)
    result |= {
        "machine": f"{arguments.device}, {arguments.threads} threads, {platform.machine()}",
        "torch": torch.__version__,
        "command": " ".join(["python", "benchmarks/train_throughput.py", *sys.argv[1:]]),
    }
    print(json.dumps({name: value for name, value in result.items() if name != "seconds_per_step"}, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
