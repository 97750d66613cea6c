"""What a pretraining run needs: its peak memory, and where its time goes."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
from pathlib import Path
from typing import Any

import torch
from scenes import make_scenes
from train_sides import ORIGIN, TICKS, Options, begin, draw_scenes, our_recipe, sampler_of

from dynamo_policies.pretraining import pretrain

MEMORY_TICKS, MEMORY_SIZE, MEMORY_STEPS = 10_000, 128, 6
REST = "everything else"
KINDS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("convolution",),
    "batch norms": ("batch_norm",),
    "activations and pooling": ("relu", "threshold", "clamp_min", "pool", "gelu"),
    "attention and linear layers": ("addmm", "aten::mm", "bmm", "attention", "layer_norm"),
    "optimiser and clipping": ("Optimizer", "lerp_", "addcdiv", "addcmul", "sqrt", "vector_norm"),
    "copies and changes of type": ("copy_", "aten::to", "contiguous", "aten::cat", "clone"),
}


def memory(options: Options) -> dict[str, Any]:
    """Return the peak memory, GiB, of a process that pretrains on `MEMORY_TICKS` ticks of two cameras."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=measure_memory, args=(theirs, options))
    worker.start()
    found: dict[str, Any] = ours.recv()
    worker.join()
    return found


def measure_memory(pipe: multiprocessing.connection.Connection, options: Options) -> None:
    """Pretrain a few steps and send the peak of what the process held, mapped files among it."""
    begin(options)
    episodes = MEMORY_TICKS // TICKS
    scenes = make_scenes(
        options.folder / "memory", episodes=episodes, ticks=TICKS, size=MEMORY_SIZE, jpeg=False
    )
    for scene in scenes:
        for images in scene.episode.images.values():
            images.sum()  # every page of the files is mapped, as after an epoch
    recipe = our_recipe(options, image_size=MEMORY_SIZE, steps=MEMORY_STEPS)
    pretrain(recipe, sampler_of(scenes), options.folder / "out", origin=ORIGIN, device=options.device)
    mapped = 2 * MEMORY_TICKS * MEMORY_SIZE**2 * 3 / 2**30
    pipe.send(
        {
            "peak_gib": peak_gib(),
            "of_it_mapped_frames_gib": mapped,
            "ticks": MEMORY_TICKS,
            "steps": MEMORY_STEPS,
        }
    )


def peak_gib() -> float:
    """Return the most that this process has held, GiB.

    Not ru_maxrss, which begins with what the parent held when it started this process.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20


def profiled(options: Options) -> dict[str, float]:
    """Return the share of our steps' time on the processor that each kind of work takes."""
    begin(options)
    sampler = sampler_of(draw_scenes(options.folder))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        pretrain(our_recipe(options, steps=4), sampler, options.folder / "profiled", origin=ORIGIN)
    shares = dict.fromkeys([*KINDS, REST], 0.0)
    for event in profile.key_averages():
        kinds = (name for name, words in KINDS.items() if any(word in event.key for word in words))
        shares[next(kinds, REST)] += event.self_cpu_time_total
    return {kind: value / sum(shares.values()) for kind, value in shares.items()}
