"""How soon an arm is safe after each fault: on simulated time, and over ROS with the real inference node.

On simulated time each fault is put in at MOMENTS moments between two ticks of the policy, and the worst
counts; over ROS up to `--repeat` times, as far as `--minutes` reach. Times there depend on the computer,
which should be idle. What safe means: `dynamo_ros.faults.judge`, and seen from outside
`dynamo_ros.nodes.faults.trials`. Where there is no vendor's workspace, the arm's controller speaks by the
messages that the tests have.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dynamo_policies.contract import Contract, load_contract
from dynamo_ros.faults.trial import Row, pick, try_at_all, with_deadman

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the fake messages of the tests
CONTRACT = Path(__file__).parents[1] / "config" / "robots" / "xarm_kitchen.yaml"
MOMENTS, QUICK_MOMENTS = 5, 1
QUICK_ROS = ("camera silent", "e-stop", "node stopped 2 s")
BEGIN, END = "<!-- faults: written by benchmarks/faults.py --docs -->", "<!-- end of faults -->"


def simulated(contract: Contract, moments: int) -> list[Row]:
    """Return the worst row of each fault on simulated time."""
    asked = with_deadman(contract)
    return [try_at_all(name, fault, asked, moments) for name, fault in pick(asked).items()]


def over_ros(contract: Contract, only: tuple[str, ...] | None, repeat: int, until_s: float) -> list[Row]:
    """Return the worst row of each fault over ROS; no trial begins after `until_s` of the monotonic clock."""
    from dynamo_ros.nodes.faults.run import names, run_over_ros
    from dynamo_ros.nodes.faults.trials import not_tried
    from fakes.vendor_messages import provide

    provide()
    found: dict[str, list[Row]] = {name: [] for name in only or names(contract)}
    for row in itertools.chain.from_iterable(run_over_ros(contract, only) for _ in range(repeat)):
        found[row.name].append(row)
        if time.monotonic() > until_s:
            break
    late = [name for name, rows in found.items() if not rows]
    found |= {name: [not_tried(name, "", "", problem="no time was left")] for name in late}
    return [worst(rows) for rows in found.values()]


def worst(rows: Iterable[Row]) -> Row:
    """Return the worst of some rows of one fault."""
    return max(rows, key=lambda row: (not row.ok, row.time_to_safe_ms or 0.0))


def figures(rows: Iterable[Row]) -> dict[str, Any]:
    """Return rows as plain values under the worst time to safe."""
    all_of = list(rows)
    timed = [row for row in all_of if row.time_to_safe_ms is not None and row.bound_ms is not None]
    worst = max(timed, key=lambda row: row.time_to_safe_ms or 0.0, default=None)
    return {
        "worst_time_to_safe_ms": None if worst is None else worst.time_to_safe_ms,
        "worst_fault": None if worst is None else worst.name,
        "late": sorted(row.name for row in timed if (row.time_to_safe_ms or 0.0) > (row.bound_ms or 0.0)),
        "not_ok": sorted(row.name for row in all_of if not row.ok),
        "rows": [{**row._asdict(), "ok": row.ok} for row in all_of],
    }


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows, as `figures` has them, as a table of Markdown."""
    head = "| fault | what | answer | afterwards | safe after ms | bound ms | at rest after ms | way mm | |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        times = [row[name] for name in ("time_to_safe_ms", "bound_ms", "time_to_rest_ms", "way_mm")]
        shown = ["" if one is None else f"{one:.0f}" for one in times]
        verdict = "as expected" if row["ok"] else "; ".join(row["problems"])
        cells = [row["name"], row["what"], row["seen"] or row["expected"], row["after"], *shown, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def write_docs(found: dict[str, Any], page: Path) -> None:
    """Put the tables of `found` into a page, between its two marks."""
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    parts = [BEGIN, "", "On simulated time, in one process:", "", table(found["simulated"]["rows"]), ""]
    if found["ros"] is not None:
        parts += ["Over ROS, seen from the commands:", "", table(found["ros"]["rows"]), ""]
    page.write_text(before + "\n".join([*parts, END]) + after)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures."""
    contract, until_s = load_contract(arguments.contract), time.monotonic() + 60.0 * arguments.minutes
    rows = simulated(contract, QUICK_MOMENTS if arguments.quick else MOMENTS)
    only = QUICK_ROS if arguments.quick else None
    repeat = 1 if arguments.quick else arguments.repeat
    there = None if arguments.no_ros else over_ros(contract, only, repeat, until_s)
    head = figures([*rows, *(there or ())])
    head.pop("rows")
    # A row for each fault: on simulated time by its name, over ROS with `ROS: ` before it.
    faults = {row.name: {**row._asdict(), "ok": row.ok} for row in rows}
    faults |= {f"ROS: {row.name}": {**row._asdict(), "ok": row.ok} for row in there or ()}
    parts = {"simulated": figures(rows), "ros": None if there is None else figures(there)}
    return {**head, "contract": contract.name, "quick": arguments.quick, "faults": faults, **parts}


def main() -> int:
    """Measure, print and store; exit status 1 where something is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer moments, three faults over ROS")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--no-ros", action="store_true", help="on simulated time only")
    parser.add_argument("--repeat", type=int, default=2, help="of the faults over ROS")
    parser.add_argument("--minutes", type=float, default=10.0, help="no trial begins later")
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("--docs", type=Path, help="page that gets the tables, of --json if that is there")
    arguments = parser.parse_args()
    if arguments.docs and arguments.json and arguments.json.exists():
        write_docs(json.loads(arguments.json.read_text()), arguments.docs)
        return 0
    found = measure(arguments)
    print(json.dumps({name: one for name, one in found.items() if not isinstance(one, dict)}))
    for row in found["faults"].values():
        times = f"safe after {row['time_to_safe_ms']} of {row['bound_ms']} ms"
        print(f"{row['name']}: {row['seen']}, {times} {'; '.join(row['problems'])}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["not_ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
