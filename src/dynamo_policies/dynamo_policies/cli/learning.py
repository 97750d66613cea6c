"""What `dynamo pretrain` and `dynamo train` share: reading bags, and bars that say how long it will take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dynamo_policies.bags import BagInfo, check_contract, find_bags, read_info
from dynamo_policies.cache import FrameCache
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode

PIPE_WIDTH = 160  # where no terminal gives a width
DEFAULT_CACHE = Path.home() / ".cache" / "dynamo" / "frames"
Advance = Callable[[float, str], None]  # how many are done, and a remark


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that both commands take."""
    parser.add_argument(
        "--bags", nargs="+", type=Path, required=True, metavar="DIR", help="folders with bags"
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings, YAML")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the result")
    parser.add_argument(
        "--cache",
        type=Path,
        default=DEFAULT_CACHE,
        metavar="DIR",
        help=f"decoded frames (default {DEFAULT_CACHE})",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="draw other first weights and samples")
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one)")


def read_infos(folders: Sequence[Path]) -> list[BagInfo]:
    """Return what the bags in `folders` say about themselves.

    Raises:
        BagError: there is no bag, or one can't be read.
        ContractMismatchError: the bags were not all recorded under one contract.
    """
    infos = [read_info(path) for folder in folders for path in find_bags(folder)]
    for info in infos:
        check_contract(info, infos[0].contract)
    return infos


def read_episodes(
    infos: Sequence[BagInfo], frames: FrameSettings, cache: Path, console: Console
) -> list[Episode]:
    """Return the episodes of `infos` out of the cache, decoding what is not in it yet."""
    with bar(console, "decode", len(infos)) as advance:
        episodes = FrameCache(cache).episodes(
            [info.path for info in infos], frames, lambda done, _total: advance(done, "")
        )
    ticks = sum(len(episode) for episode in episodes)
    console.print(f"{len(episodes)} episodes, {ticks} ticks, {len(infos[0].contract.cameras)} cameras")
    return episodes


def make_console() -> Console:
    """Return a console that does not break lines where nobody watches."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


@contextmanager
def bar(console: Console, title: str, total: int) -> Iterator[Advance]:
    """Show a bar while the block runs; it gets a function to say how many of `total` are done."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}"),
        ),
    )
    # Into a file, a bar would only write blank lines.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total, remark="")
        yield lambda done, remark: progress.update(task, completed=done, remark=remark)


def choose_device(given: str | None) -> str:
    """Return `given`, or the best device there is.

    Raises:
        ConfigError: there is no such device.
    """
    # Here, because torch takes a second that `dynamo --help` need not wait for.
    import torch

    from dynamo_policies.devices import check_device

    return str(check_device(given or ("cuda" if torch.cuda.is_available() else "cpu")))
