"""What the benchmarks of pretraining share: settings, scenes, and how a side is set up."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scenes import Scene, make_scenes

from dynamo_policies.clips import SegmentSampler
from dynamo_policies.pretraining import Origin
from dynamo_policies.recipes import Recipe, load_recipe

CONFIG = Path(__file__).parents[1] / "config" / "pretrain" / "dynamo.yaml"
ORIGIN = Origin("", ())
EPISODES, TICKS = 12, 100


class Options(NamedTuple):
    """What both sides share."""

    folder: Path
    device: str
    threads: int
    compile: bool
    workers: int
    resident: bool | str


def begin(options: Options) -> None:
    """Set this process up as `options` say."""
    torch.set_num_threads(options.threads)


def our_recipe(options: Options, **changes: Any) -> Recipe:
    """Return the settings of our side."""
    return load_recipe(CONFIG, compile=options.compile, resident=options.resident, **changes)


def draw_scenes(folder: Path, *, seed: int = 0) -> list[Scene]:
    """Draw the episodes of `seed`, the same ones each time, into a folder of their own below `folder`."""
    size = load_recipe(CONFIG).run.image_size
    return make_scenes(
        Path(tempfile.mkdtemp(dir=folder)), episodes=EPISODES, ticks=TICKS, size=size, seed=seed
    )


def sampler_of(scenes: list[Scene]) -> SegmentSampler:
    """Return the sampler of our side."""
    return SegmentSampler([scene.episode for scene in scenes], load_recipe(CONFIG).run.segment_length, 0)
