"""`dynamo bags verdict`: whether episodes are fit to learn from, and why not."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dynamo_policies.bag_quality import bag_quality
from dynamo_policies.bags import find_bags, read_info
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import DynamoError
from dynamo_policies.limits import COLOURS
from dynamo_policies.verdict import Verdict, judge

PIPE_WIDTH = 160  # where no terminal gives a width
STYLES = {"green": "green", "amber": "yellow", "red": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the action takes, and itself as the `action` of what is parsed."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a bag, or a folder with bags")
    parser.add_argument("--contract", type=Path, help="judge by the thresholds of this contract")
    parser.set_defaults(action=run)


def run(arguments: argparse.Namespace) -> int:
    """Show a verdict for each bag; 1 if one is red or can't be read."""
    contract = None if arguments.contract is None else load_contract(arguments.contract)
    table, counts, unreadable = Table("bag", "verdict", "reasons"), Counter[str](), 0
    for path in (path for folder in arguments.folders for path in find_bags(folder)):
        try:
            verdict = verdict_on(path, contract)
        except DynamoError as error:  # The row says so; the other bags are still judged.
            unreadable += 1
            table.add_row(escape(str(path)), "", escape(str(error)))
            continue
        counts[verdict.colour] += 1
        reasons = escape("\n".join(f"{reason.stream}: {reason.text}" for reason in verdict.reasons))
        table.add_row(escape(str(path)), f"[{STYLES[verdict.colour]}]{verdict.colour}[/]", reasons)
    console = _console()
    console.print(table)
    console.print(", ".join(f"{counts[colour]} {colour}" for colour in COLOURS))
    if unreadable:
        console.print(f"{unreadable} bags can't be read")
    return 1 if counts["red"] or unreadable else 0


def verdict_on(path: Path, contract: Contract | None = None) -> Verdict:
    """Return the verdict on a bag by its own thresholds, or by those of `contract`.

    Raises:
        BagError: the bag can't be read.
        UnknownNameError: `contract` has a threshold for a stream that the bag's does not have.
    """
    info = read_info(path, contract)
    judged_by = info.contract if contract is None else replace(info.contract, quality=contract.quality)
    return judge(judged_by, bag_quality(info), info.dropped)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)
