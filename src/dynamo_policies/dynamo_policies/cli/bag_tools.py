"""The actions of `dynamo bags` that make something of bags: align, split, merge, play, export, import."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dynamo_policies.bags import find_bags, read_info
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import ConfigError

PIPE_WIDTH = 200  # where no terminal gives a width


def add_tools(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the actions' command lines."""
    align = actions.add_parser(
        "align", help="show which samples the policy's ticks pick, and how old they are"
    )
    align.add_argument("bag", type=Path)
    align.add_argument("--rate", type=float, metavar="HZ", help="of the ticks; the contract's without it")
    align.add_argument("--plot", type=Path, metavar="PNG", help="write the ages as a picture")
    align.set_defaults(action=_align)
    split = actions.add_parser("split", help="cut a bag at times")
    split.add_argument("bag", type=Path)
    split.add_argument(
        "--at", type=float, nargs="+", required=True, metavar="S", help="seconds from its start"
    )
    split.add_argument("--out", type=Path, required=True, help="the folder for the parts")
    split.set_defaults(action=_split)
    merge = actions.add_parser("merge", help="make one bag of an episode that was recorded in parts")
    merge.add_argument("bags", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True, help="the bag to make")
    merge.set_defaults(action=_merge)
    play = actions.add_parser("play", help="write what the cameras saw as a video")
    play.add_argument("bag", type=Path)
    play.add_argument("--out", type=Path, metavar="MP4", help="NAME.mp4 in this folder without it")
    play.add_argument("--fps", type=float, default=10.0, help="frames for each second recorded")
    play.set_defaults(action=_play)
    export = actions.add_parser("export", help="write bags as a dataset of another kind")
    export.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a bag, or a folder with bags")
    export.add_argument("--format", choices=["lerobot"], required=True)
    export.add_argument("--out", type=Path, required=True, help="the folder to make")
    export.set_defaults(action=_export)
    _add_import(actions)
    for action in (align, split, merge, play, export):
        action.add_argument("--contract", type=Path, help="to read bags by that have none of their own")


def _add_import(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    taking = actions.add_parser("import", help="make bags of recordings of other systems")
    taking.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="a demonstration, or a released set"
    )
    taking.add_argument("--format", choices=["open-teach", "dynamo-release"], required=True)
    taking.add_argument("--contract", type=Path, required=True, help="what the robot was")
    taking.add_argument("--task", required=True, help="one of the contract's")
    taking.add_argument("--out", type=Path, required=True, help="the folder for the bags")
    taking.add_argument(
        "--camera",
        action="append",
        metavar="NAME=N",
        help="Open-Teach's number of a camera; 0, 1, … without it",
    )
    taking.add_argument("--robot", default="right_xarm", help="Open-Teach's name of the robot (%(default)s)")
    taking.set_defaults(action=_import)


def given_contract(arguments: argparse.Namespace) -> Contract | None:
    """Return the contract of --contract, None without it."""
    return None if arguments.contract is None else load_contract(arguments.contract)


def _align(arguments: argparse.Namespace) -> int:
    from dynamo_policies.bagtools.preview import plot, preview

    found = preview(arguments.bag, given_contract(arguments), arguments.rate)
    table = Table("stream", title="age of the sample that each tick picks")
    for name in (
        "samples",
        "picked",
        "repeated",
        "stale",
        "least ms",
        "median ms",
        "largest ms",
        "allowed ms",
    ):
        table.add_column(name, justify="right")
    for name, picks in found.streams.items():
        known = picks.age_ms[picks.stamps >= 0]
        ages = (
            [f"{value:.1f}" for value in (known.min(), _median(known), known.max())]
            if len(known)
            else ["-"] * 3
        )
        allowed = "-" if picks.max_age_ms is None else f"{picks.max_age_ms:g}"
        counts = [str(int(value)) for value in (picks.samples, picks.used, picks.repeated, picks.stale.sum())]
        table.add_row(name, *counts, *ages, allowed)
    console = wide_console()
    console.print(table)
    console.print(f"{len(found.ticks)} ticks")
    if arguments.plot is not None:
        plot(found, arguments.plot, arguments.bag.name)
    return 0


def _median(values: object) -> float:
    import numpy as np

    return float(np.median(values))  # type: ignore[call-overload]  # an array


def _split(arguments: argparse.Namespace) -> int:
    from dynamo_policies.bagtools.cutting import split

    for path in split(arguments.bag, arguments.at, arguments.out, given_contract(arguments)):
        info = read_info(path)
        _say(f"{path}: {info.seconds:.2f} s, {info.messages} messages")
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from dynamo_policies.bagtools.cutting import merge

    info = read_info(merge(arguments.bags, arguments.out, given_contract(arguments)))
    _say(f"{info.path}: {info.seconds:.2f} s, {info.messages} messages")
    return 0


def _play(arguments: argparse.Namespace) -> int:
    from dynamo_policies.video import video_of_bag

    out = arguments.out or Path(f"{arguments.bag.resolve().name}.mp4")
    count = video_of_bag(arguments.bag, out, fps=arguments.fps, contract=given_contract(arguments))
    _say(f"{out}: {count} frames. To publish the topics again: ros2 bag play --clock 100 {arguments.bag}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from dynamo_policies.bagtools.lerobot import export_lerobot

    bags = [bag for folder in arguments.folders for bag in find_bags(folder)]
    rows = export_lerobot(bags, arguments.out, given_contract(arguments))
    _say(f"{arguments.out}: {len(bags)} episodes, {rows} frames")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    contract = load_contract(arguments.contract)
    for folder in arguments.folders:
        for bag in _imported(folder, contract, arguments):
            _say(f"{bag}: {read_info(bag).messages} messages")
    return 0


def _imported(folder: Path, contract: Contract, arguments: argparse.Namespace) -> Iterator[Path]:
    from dynamo_policies.bagtools.open_teach import import_open_teach
    from dynamo_policies.bagtools.release import import_release
    from dynamo_policies.bagtools.release_sets import import_set, is_set

    out, task = arguments.out / folder.resolve().name, arguments.task
    if arguments.format == "open-teach":
        cameras = _cameras(arguments.camera)
        yield import_open_teach(folder, out, contract, task=task, cameras=cameras, robot=arguments.robot)
    elif is_set(folder):
        yield from import_set(folder, arguments.out, contract, task=task)
    else:
        yield import_release(folder, out, contract, task=task)


def _cameras(given: list[str] | None) -> dict[str, int] | None:
    if given is None:
        return None
    pairs = [text.partition("=") for text in given]
    for text, (name, _, number) in zip(given, pairs, strict=True):
        if not name or not number.isdigit():
            raise ConfigError(f"--camera {text!r} is not NAME=N, such as fixed=0")
    return {name: int(number) for name, _, number in pairs}


def wide_console() -> Console:
    """Return the terminal, or where there is none, a wide one."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def _say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text, markup=False)
