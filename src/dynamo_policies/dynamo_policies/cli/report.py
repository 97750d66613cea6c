"""`dynamo report`: the page of an evaluation, with a video of every trial."""

from __future__ import annotations

import argparse
from pathlib import Path

from dynamo_policies.cli.command import Command


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="the folder of an evaluation (it holds trials.json and summary.json)"
    )


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from dynamo_policies.report.evaluation import report_evaluation

    Console().print(f"report: {report_evaluation(args.folder)}")
    return 0


COMMAND = Command("report", "write the HTML report of an evaluation", _add_arguments, _run)
