"""Frames a second of the loader: windows out of memory-mapped frames, against decoding them item by item.

Both sides give batches of 48 windows of 5 ticks of two cameras, uint8 and contiguous, on the CPU, and nothing
is done with them. Ours draws, copies and prefetches as `pretrain` does, from files laid out as those of the
frame cache; `ours_resident` gathers them out of one tensor. The plain side is a DataLoader whose items are
decoded from JPEG files of the same size. Files lie in the page cache. The sides take turns; the ratio is that
of medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from plain_loop import Windows
from scenes import Scene, make_scenes
from torch.utils.data import DataLoader

from dynamo_policies.clips import SegmentSampler
from dynamo_policies.feeding import feeding
from dynamo_policies.processes import join
from dynamo_policies.recipes import PretrainConfig

WINDOWS, TICKS = 48, 5


@contextmanager
def ours(scenes: list[Scene], *, resident: bool) -> Iterator[Iterator[torch.Tensor]]:
    """Yield batches as `pretrain` gets them."""
    config, team = PretrainConfig(segments=WINDOWS, segment_length=TICKS, resident=resident), join("cpu")
    sampler = SegmentSampler([scene.episode for scene in scenes], TICKS, 0)
    with feeding(sampler, config, team, actions=False) as feed:
        yield (feed.next(team.device).segments for _ in iter(int, 1))


@contextmanager
def plain(scenes: list[Scene], *, workers: int) -> Iterator[Iterator[torch.Tensor]]:
    """Yield batches of a DataLoader, epoch after epoch."""
    loader = DataLoader(
        Windows(scenes, TICKS), batch_size=WINDOWS, shuffle=True, drop_last=True, num_workers=workers
    )
    yield (batch for _ in iter(int, 1) for batch in loader)


def rate(batches: Iterator[torch.Tensor], count: int) -> float:
    """Return frames a second over `count` batches."""
    next(batches)  # what was fetched while the other side had its turn
    began = time.perf_counter()
    frames = sum(next(batches).shape[:3].numel() for _ in range(count))
    return frames / (time.perf_counter() - began)


def main() -> None:
    """Compare both sides in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few batches, to see that it works")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--size", type=int, default=128, help="side of the frames, pixels")
    parser.add_argument("--workers", type=int, default=0, help="the DataLoader's workers")
    arguments = parser.parse_args()
    rounds, batches = (2, 2) if arguments.quick else (7, 10)
    with tempfile.TemporaryDirectory() as folder:
        scenes = make_scenes(Path(folder), episodes=10, ticks=100, size=arguments.size)
        with (
            ours(scenes, resident=False) as mapped,
            ours(scenes, resident=True) as resident,
            plain(scenes, workers=arguments.workers) as decoded,
        ):
            sides = {"ours": mapped, "ours_resident": resident, "plain": decoded}
            found: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(rounds + 1):
                for name, side in sides.items():
                    speed = rate(side, batches)
                    if turn:  # the first turn warms up
                        found[name].append(speed)
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    result = {
        "ratio": medians["ours"] / medians["plain"],
        "frames_per_second": medians,
        "rounds": found,
        "size": arguments.size,
        "command": " ".join(["python", "benchmarks/cache_fps.py", *sys.argv[1:]]),
    }
    print(json.dumps({name: value for name, value in result.items() if name != "rounds"}, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
