"""`dynamo faults`: what comes of each fault, on simulated time or over ROS."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamo_policies.cli.command import Command

if TYPE_CHECKING:
    from dynamo_policies.contract import Contract
    from dynamo_ros.core.deployable import Deployable
    from dynamo_ros.faults.trial import Row

PIPE_WIDTH = 200  # where no terminal gives a width
CONTRACT = "xarm_kitchen"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, help="folder; default: one that draws circles, without networks"
    )
    parser.add_argument(
        "--contract", help=f"name or file, whose gates count; default: the bundle's, or {CONTRACT}"
    )
    parser.add_argument("--ros", action="store_true", help="over ROS: the real node, cameras in processes")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these faults; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")


def _run(args: argparse.Namespace) -> int:
    from dynamo_ros.faults.trial import pick, try_fault

    if args.ros:
        rows = _over_ros(args)
    else:
        contract, bundle = _deployed(args.bundle, args.contract)
        table = pick(contract, args.only)
        rows = [try_fault(name, fault, contract, bundle) for name, fault in table.items()]
    show(rows)
    if args.json is not None:
        args.json.write_text(json.dumps(as_json(rows), indent=2) + "\n", encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


def as_json(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the rows as plain values, with the longest time to safe on top."""
    all_of = list(rows)
    times = [row.time_to_safe_ms for row in all_of if row.time_to_safe_ms is not None]
    plain = [{**row._asdict(), "ok": row.ok} for row in all_of]
    return {
        "worst_time_to_safe_ms": max(times, default=None),
        "ok": all(row.ok for row in all_of),
        "rows": plain,
    }


def show(rows: Sequence[Row]) -> None:
    """Print a table of the rows."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)
    table = Table("fault", "", "expected", "seen", "afterwards")
    for name in ("safe ms", "bound", "rest ms", "way mm"):
        table.add_column(name, justify="right")
    table.add_column("ok")
    for row in rows:
        times = (row.time_to_safe_ms, row.bound_ms, row.time_to_rest_ms, row.way_mm)
        verdict = "yes" if row.ok else "; ".join(row.problems)
        texts = (row.name, row.what, row.expected, row.seen, row.after)
        table.add_row(*texts, *("" if one is None else f"{one:.0f}" for one in times), verdict)
    console.print(table)


def _over_ros(args: argparse.Namespace) -> list[Row]:
    """Return the rows of the faults over ROS, where a bundle of its own moves the arm."""
    from dynamo_policies.errors import ConfigError
    from dynamo_ros.locations import find_contract
    from dynamo_ros.nodes.faults.run import run_over_ros

    if args.bundle is not None:
        raise ConfigError(
            "--ros runs a bundle of its own, so that the arm moves; possible beside it: --contract"
        )
    return list(run_over_ros(find_contract(args.contract or CONTRACT), args.only))


def _deployed(folder: Path | None, contract: str | None) -> tuple[Contract, Deployable | None]:
    """Return the contract whose gates count, and the bundle; None for the one without networks."""
    from dynamo_ros.faults.trial import with_deadman, without_novelty
    from dynamo_ros.locations import find_contract

    if folder is None:
        return with_deadman(find_contract(contract or CONTRACT)), None
    from dynamo_policies.bundle import load_bundle

    bundle = load_bundle(folder)
    return without_novelty(bundle.contract if contract is None else find_contract(contract)), bundle


COMMAND = Command("faults", "put faults in and see whether the arm gets safe in time", _add_arguments, _run)
