"""`dynamo bags`: what is in bags, and whether it is sound."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dynamo_policies.bags import BagError, BagInfo, find_bags, read_info
from dynamo_policies.cli.command import Command
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.repair import find_damaged, repair
from dynamo_policies.verify import verify

PIPE_WIDTH = 160  # where no terminal gives a width


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="show what bags say about themselves")
    info.set_defaults(action=_info)
    verify = actions.add_parser("verify", help="decode every message; exit status 1 if a bag has a problem")
    verify.add_argument("--contract", type=Path, help="the contract that the bags should be recorded under")
    verify.add_argument("--strict", action="store_true", help="let warnings count as errors")
    verify.set_defaults(action=_verify)
    repair = actions.add_parser("repair", help="make whole bags of recordings that were cut off or damaged")
    repair.add_argument("--contract", type=Path, help="the contract of bags that have lost their own")
    repair.add_argument("--task", default="", help="the task of bags that have lost their own")
    repair.set_defaults(action=_repair)
    for action in (info, verify, repair):
        action.add_argument(
            "folders", nargs="+", type=Path, metavar="DIR", help="a bag, or a folder with bags"
        )


def _run(arguments: argparse.Namespace) -> int:
    return int(arguments.action(arguments))


def _info(arguments: argparse.Namespace) -> int:
    table = Table("bag", "task", "outcome", "seconds", "messages", "dropped", "topic", "count", "rate Hz")
    for column in table.columns[3:6] + table.columns[7:]:
        column.justify = "right"
    infos = [read_info(path) for path in _bags(arguments.folders)]
    for info in infos:
        table.add_row(*_row(info), end_section=True)
    console = _console()
    console.print(table)
    console.print(_totals(infos))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    console, paths, contract = _console(), _bags(arguments.folders), _contract(arguments)
    bad = 0
    for path in paths:
        found = verify(path, contract)
        bad += bool(found.errors or (arguments.strict and found.warnings))
        word, colour = ("bad", "red") if found.errors else ("good", "yellow" if found.warnings else "green")
        console.print(f"[{colour}]{word}[/] {escape(str(path))}")
        for kind, lines in (("error", found.errors), ("warning", found.warnings)):
            for line in lines:
                console.print(f"     {kind}: {line}", markup=False)
    console.print(f"{len(paths) - bad} of {len(paths)} bags are good")
    return 1 if bad else 0


def _repair(arguments: argparse.Namespace) -> int:
    console, failed, contract = _console(), 0, _contract(arguments)
    damaged = [path for folder in arguments.folders for path in find_damaged(folder)]
    for path in damaged:
        try:
            console.print(str(repair(path, contract, task=arguments.task)), markup=False)
        except BagError as error:  # noqa: PERF203  # one bag that can't be repaired leaves the others be
            failed += 1
            console.print(str(error), markup=False)
    console.print(f"{len(damaged) - failed} of {len(damaged)} damaged bags repaired")
    return 1 if failed else 0


def _contract(arguments: argparse.Namespace) -> Contract | None:
    return None if arguments.contract is None else load_contract(arguments.contract)


def _bags(folders: list[Path]) -> list[Path]:
    return [path for folder in folders for path in find_bags(folder)]


def _row(info: BagInfo) -> tuple[str, ...]:
    topics = sorted(info.counts)
    rates = [f"{info.counts[topic] / info.seconds:.1f}" if info.seconds else "-" for topic in topics]
    return (
        str(info.path),
        info.task,
        info.outcome,
        f"{info.seconds:.1f}",
        str(info.messages),
        str(sum(info.dropped.values())),
        "\n".join(topics),
        "\n".join(str(info.counts[topic]) for topic in topics),
        "\n".join(rates),
    )


def _totals(infos: list[BagInfo]) -> str:
    outcomes = Counter((info.task, info.outcome) for info in infos)
    parts = [f"{count} {task} {outcome}" for (task, outcome), count in sorted(outcomes.items())]
    seconds, size = sum(info.seconds for info in infos), sum(info.bytes for info in infos)
    return f"{len(infos)} bags, {seconds:.0f} s, {size / 1e6:.0f} MB: {', '.join(parts)}"


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


COMMAND = Command("bags", "look into bags and check them", _add_arguments, _run)
