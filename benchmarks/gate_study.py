"""Which offline figure predicts success: rank correlation of each with rollouts, over many encoders.

`--success` is a table {"rows": [{"name", "encoder", "successes", "trials", …}, …]} as `success.py` writes it,
`--probe` what `dynamo probe --json` wrote about the same encoders. A candidate predicts where the p of its
correlation, corrected for all candidates, is below 0.05 over at least ten encoders. Encoders of one objective
are no independent draws, so an interval is, if anything, too narrow.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dynamo_policies.probes.study import CANDIDATES, Correlation, Row, correlate_all, join
from dynamo_policies.statistics import wilson

ENOUGH, LEVEL = 10, 0.05
INK, BLUE, SOFT = "#1c2430", "#2563a8", "#8b97a6"


def synthetic(seed: int = 0, encoders: int = 12) -> list[Row]:
    """Return invented rows in which one figure predicts success and another does not."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(encoders):
        skill = random.uniform(0.2, 0.95)
        figures = {
            "chunk_error": 0.9 - 0.5 * skill + random.normal(0, 0.03),
            "effective_rank": random.uniform(2, 90),
        }
        rows.append(Row(f"encoder {number}", int(random.binomial(40, skill)), 40, figures))
    return rows


def predictors(found: Sequence[Correlation]) -> list[str]:
    """Return the candidates that were shown to predict success, the strongest first."""
    shown = [
        one
        for one in found
        if one.p_holm is not None and one.p_holm < LEVEL and one.rho > 0.0 and one.encoders >= ENOUGH
    ]
    return [one.figure for one in sorted(shown, key=lambda one: -one.rho)]


def show(found: Sequence[Correlation], most: int) -> None:
    """Print the candidates, and of the rest those with the strongest correlations."""
    print(f"{'figure':42} {'rho':>6} {'95 % interval':>16} {'p':>8} {'Holm':>8}")
    rest = sorted((one for one in found if one.p_holm is None), key=lambda one: -abs(np.nan_to_num(one.rho)))
    for one in [*(one for one in found if one.p_holm is not None), *rest[:most]]:
        corrected = "" if one.p_holm is None else f"{one.p_holm:8.4f}"
        print(f"{one.figure:42} {one.rho:6.2f} [{one.low:6.2f}, {one.high:6.2f}] {one.p:8.4f} {corrected:>8}")


def scatter(rows: Sequence[Row], one: Correlation, path: Path) -> None:
    """Draw success against a figure, each encoder with its name and its Wilson interval."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        low, high = wilson(row.successes, row.trials)
        value = row.figures[one.figure]
        axes.plot([value, value], [low, high], color=SOFT, linewidth=1.2)
        axes.plot(value, row.rate, "o", color=BLUE, markersize=6)
        axes.annotate(
            row.name, (value, row.rate), xytext=(5, 3), textcoords="offset points", fontsize=7, color=INK
        )
    axes.set(xlabel=one.figure, ylabel="success rate, 95 % Wilson interval", ylim=(-0.03, 1.03))
    axes.set_title(
        f"rank correlation {one.rho:.2f} [{one.low:.2f}, {one.high:.2f}], p {one.p:.2g}", fontsize=10
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.margins(x=0.12)
    figure.savefig(path, dpi=110)


def plain(one: Correlation) -> dict[str, Any]:
    """Return a correlation as JSON can hold it."""
    values = one._asdict()
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }


def main() -> None:
    """Read the tables, correlate, print, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--success", type=Path, help="table of rollouts")
    parser.add_argument("--probe", type=Path, nargs="+", default=[], help="JSON of `dynamo probe`")
    parser.add_argument("--quick", action="store_true", help="fewer draws; without tables, on invented ones")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--plots", type=Path, help="folder for a scatter plot of each figure")
    parser.add_argument("--most", type=int, default=12, help="figures to print beside the candidates")
    arguments = parser.parse_args()
    if arguments.success is None and not arguments.quick:
        parser.error("--success and --probe are needed (or --quick, which invents a table)")
    if arguments.success is None:
        rows = synthetic()
    else:
        cards = [json.loads(path.read_text()) for path in arguments.probe]
        rows = join(json.loads(arguments.success.read_text()), cards)
    draws = {"orders": 2000, "draws": 500} if arguments.quick else {}
    found = correlate_all(rows, **draws)
    show(found, arguments.most)
    shown = predictors(found)
    print(f"{len(rows)} encoders; shown to predict success: {', '.join(shown) or 'none'}")
    if arguments.plots is not None:
        arguments.plots.mkdir(parents=True, exist_ok=True)
        for one in found:
            scatter(rows, one, arguments.plots / f"{one.figure.replace('/', '_').replace('@', '_')}.png")
    if arguments.json is not None:
        result = {
            "predictors": shown,
            "encoders": len(rows),
            "synthetic": arguments.success is None,
            "rule": f"{', '.join(CANDIDATES)}: Holm p < {LEVEL}, rho > 0, at least {ENOUGH} encoders",
            "correlations": [plain(one) for one in found],
            "rows": [row._asdict() for row in rows],
            "command": " ".join(["python", "benchmarks/gate_study.py", *sys.argv[1:]]),
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
