"""`dynamo bags`: what is in bags, and whether it is sound."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from dynamo_policies.bag_quality import bag_quality
from dynamo_policies.bags import BagError, BagInfo, find_bags, read_info
from dynamo_policies.cli import verdict
from dynamo_policies.cli.bag_tools import add_tools, given_contract, wide_console
from dynamo_policies.cli.command import Command
from dynamo_policies.damaged import find_unfinished
from dynamo_policies.episode_quality import Quality
from dynamo_policies.errors import DynamoError
from dynamo_policies.quality import StreamQuality
from dynamo_policies.repair import find_damaged, repair
from dynamo_policies.verify import Findings, verify

UNFINISHED = "a recording or a copy that was cut off, no bag yet; `dynamo bags repair` may help"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="show what is in bags and how good their streams are")
    info.add_argument("--sheet", type=Path, metavar="PNG", help="write frames of every bag as one picture")
    info.add_argument("--contract", type=Path, help="to read bags by that have none of their own")
    info.set_defaults(action=_info)
    verify = actions.add_parser("verify", help="decode every message; exit status 1 if a bag has a problem")
    verify.add_argument("--contract", type=Path, help="the contract that the bags should be recorded under")
    verify.add_argument("--strict", action="store_true", help="let warnings count as errors")
    verify.set_defaults(action=_verify)
    repair = actions.add_parser("repair", help="make whole bags of recordings that were cut off or damaged")
    repair.add_argument("--contract", type=Path, help="the contract of bags that have lost their own")
    repair.add_argument("--task", default="", help="the task of bags that have lost their own")
    repair.set_defaults(action=_repair)
    add_tools(actions)
    verdict.add_arguments(actions.add_parser("verdict", help="tell whether episodes are fit to learn from"))
    for action in (info, verify, repair):
        action.add_argument(
            "folders", nargs="+", type=Path, metavar="DIR", help="a bag, or a folder with bags"
        )


def _run(arguments: argparse.Namespace) -> int:
    return int(arguments.action(arguments))


def _info(arguments: argparse.Namespace) -> int:
    console, contract, infos = wide_console(), given_contract(arguments), list[BagInfo]()
    paths = _bags(arguments.folders)
    table = Table("bag", "task", "outcome", "stream")
    for name in ("seconds", "dropped", "messages", "rate Hz", "jitter ms", "gap ms", "repeated", "frozen"):
        table.add_column(name, justify="right")
    for path in paths:
        try:
            info = read_info(path, contract)
            row = _row(info, bag_quality(info))
            infos.append(info)
        except DynamoError as error:  # The row says so; the other bags are still shown.
            row = (escape(str(path)), "", "", escape(str(error)))
        table.add_row(*row, end_section=True)
    console.print(table)
    console.print(_totals(infos), markup=False)
    if len(infos) < len(paths):
        console.print(f"{len(paths) - len(infos)} bags can't be read")
    for path in _unfinished(arguments.folders):
        console.print(f"{path}: {UNFINISHED}", markup=False)
    if arguments.sheet is not None:
        from dynamo_policies.bagtools.sheet import contact_sheet

        contact_sheet([info.path for info in infos], arguments.sheet, contract)
        console.print(f"contact sheet: {arguments.sheet}", markup=False)
    return 0 if len(infos) == len(paths) else 1


def _verify(arguments: argparse.Namespace) -> int:
    console, paths, contract = wide_console(), _bags(arguments.folders), given_contract(arguments)
    bad = 0
    unfinished = _unfinished(arguments.folders)
    for path in (*paths, *unfinished):
        found = Findings([UNFINISHED], []) if path in unfinished else verify(path, contract)
        bad += bool(found.errors or (arguments.strict and found.warnings))
        word, colour = ("bad", "red") if found.errors else ("good", "yellow" if found.warnings else "green")
        console.print(f"[{colour}]{word}[/] {escape(str(path))}")
        for kind, lines in (("error", found.errors), ("warning", found.warnings)):
            for line in lines:
                console.print(f"     {kind}: {line}", markup=False)
    count = len(paths) + len(unfinished)
    console.print(f"{count - bad} of {count} bags are good")
    return 1 if bad else 0


def _repair(arguments: argparse.Namespace) -> int:
    console, failed, contract = wide_console(), 0, given_contract(arguments)
    damaged = [path for folder in arguments.folders for path in find_damaged(folder)]
    for path in damaged:
        try:
            console.print(str(repair(path, contract, task=arguments.task)), markup=False)
        except BagError as error:  # noqa: PERF203  # one bag that can't be repaired leaves the others be
            failed += 1
            console.print(str(error), markup=False)
    console.print(f"{len(damaged) - failed} of {len(damaged)} damaged bags repaired")
    return 1 if failed else 0


def _bags(folders: list[Path]) -> list[Path]:
    return [path for folder in folders for path in find_bags(folder)]


def _unfinished(folders: list[Path]) -> list[Path]:
    return [path for folder in folders for path in find_unfinished(folder)]


def _row(info: BagInfo, quality: Quality) -> tuple[str, ...]:
    begin = (escape(str(info.path)), escape(info.task), escape(info.outcome))
    whole = (f"{info.seconds:.1f}", str(sum(info.dropped.values())))
    streams = quality.streams
    columns = zip(*map(_cells, streams.values()), strict=True)
    return (*begin, "\n".join(streams), *whole, *("\n".join(column) for column in columns))


def _cells(quality: StreamQuality) -> tuple[str, ...]:
    return (
        str(quality.messages),
        *(f"{value:.1f}" for value in (quality.rate_hz, quality.jitter_ms, quality.gap_ms)),
        str(quality.repeated),
        str(quality.frozen),
    )


def _totals(infos: list[BagInfo]) -> str:
    outcomes = Counter((info.task, info.outcome) for info in infos)
    parts = [f"{count} {task} {outcome}" for (task, outcome), count in sorted(outcomes.items())]
    seconds, size = sum(info.seconds for info in infos), sum(info.bytes for info in infos)
    return f"{len(infos)} bags, {seconds:.0f} s, {size / 1e6:.0f} MB: {', '.join(parts)}"


COMMAND = Command("bags", "look into bags and check them", _add_arguments, _run)
