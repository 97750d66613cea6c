"""`dynamo latency`: how long the ways from camera to command took in a recorded run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dynamo_policies.cli.command import Command

if TYPE_CHECKING:
    from dynamo_policies.bag_latency import Latency

PIPE_WIDTH = 120  # where no terminal gives a width


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw each way over time and as a histogram")
    parser.add_argument("--contract", type=Path, help="to read a bag by that has none of its own")


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from dynamo_policies.bag_latency import bag_latency
    from dynamo_policies.bags import read_info
    from dynamo_policies.contract import load_contract

    contract = None if args.contract is None else load_contract(args.contract)
    latency = bag_latency(read_info(args.bag, contract))
    console = Console(highlight=False)
    _show(console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH), latency)
    if args.json is not None:
        args.json.write_text(json.dumps(as_json(latency), indent=2) + "\n", encoding="utf-8")
    if args.plot is not None:
        from dynamo_policies.report.latency_plot import latency_plot

        latency_plot(latency, args.plot)
    return 0


def as_json(latency: Latency) -> dict[str, object]:
    """Return the figures of `latency` as plain values."""
    return {
        "ways_ms": {name: one.figures() for name, one in latency.series.items()},
        "budget_ms": latency.budget_ms,
        "over_budget": latency.over_budget,
        "engine": latency.engine,
    }


def _show(console: object, latency: Latency) -> None:
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    table = Table("way")
    for name in ("count", "p50 ms", "p95 ms", "p99 ms", "max ms"):
        table.add_column(name, justify="right")
    for name, one in latency.series.items():
        figures = one.figures()
        row = [f"{figures[key]:.2f}" for key in ("p50", "p95", "p99", "max")]
        table.add_row(name, f"{figures['count']:.0f}", *row)
    console.print(table)
    if latency.timed:
        over = f"{latency.over_budget} plans were commanded later than the budget of {latency.budget_ms:g} ms"
        console.print(f"{over}; engine {latency.engine or 'not told'}")
    else:
        console.print("no /inference_node/timing in the bag, so what each plan took is not known")


COMMAND = Command("latency", "show how long a recorded run took from camera to command", _add_arguments, _run)
