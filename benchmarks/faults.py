"""How soon an arm is safe after each fault: on simulated time, and over ROS with the real inference node.

On simulated time each fault is put in at MOMENTS moments between two ticks of the policy, and the worst
counts; so it is, too, on a robot with a hand, which has faults of its own. Over ROS up to `--repeat` times,
as far as `--minutes` reach. Times there depend on the computer, which should be idle. What safe means:
`dynamo_ros.faults.judge`, of a hand `dynamo_ros.faults.hand`, and seen from outside
`dynamo_ros.nodes.faults.trials`. Where there is no vendor's workspace, the arm's controller speaks by the
messages that the tests have.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from dynamo_policies.contract import Contract, load_contract
from dynamo_ros.faults.trial import Row, pick, try_at_all, with_deadman

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the fake messages of the tests
ROBOTS = Path(__file__).parents[1] / "config" / "robots"
CONTRACT, HAND_CONTRACT = ROBOTS / "xarm_kitchen.yaml", ROBOTS / "allegro_manipulation.yaml"
MOMENTS, QUICK_MOMENTS = 5, 1
QUICK_ROS = ("camera silent", "e-stop", "node stopped 2 s")
BEGIN, END = "<!-- faults: written by benchmarks/faults.py --docs -->", "<!-- end of faults -->"


def simulated(contract: Contract, moments: int) -> list[Row]:
    """Return the worst row of each fault on simulated time."""
    asked = with_deadman(contract)
    return [try_at_all(name, fault, asked, moments) for name, fault in pick(asked).items()]


def over_ros(contract: Contract, found: dict[str, list[Row]], repeat: int, minutes: float) -> None:
    """Put rows of the faults over ROS into `found`; none begins after so many minutes."""
    from dynamo_ros.nodes.faults.run import run_over_ros

    until_s = time.monotonic() + 60.0 * minutes
    for row in itertools.chain.from_iterable(run_over_ros(contract, tuple(found)) for _ in range(repeat)):
        found[row.name].append(row)
        if time.monotonic() > until_s:
            return


def worst_of(name: str, rows: Iterable[Row]) -> Row:
    """Return the worst of some rows of one fault."""
    none = Row(name, "", "", "", "", None, None, None, None, ("not reached",))
    return max(rows, key=lambda row: (not row.ok, row.time_to_safe_ms or 0.0), default=none)


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


TIMES = {
    "time_to_safe_ms": "safe after ms",
    "bound_ms": "bound ms",
    "time_to_rest_ms": "at rest after ms",
    "way_mm": "way mm",
}
HAND_TIMES = {"time_to_safe_ms": "safe after ms", "hand_safe_ms": "the hand itself ms", **TIMES}


def table(rows: Iterable[dict[str, Any]], columns: dict[str, str] = TIMES) -> str:
    """Return rows, as `figures` has them, as a table of Markdown."""
    heads = ["fault", "what", "answer", "afterwards", *columns.values()]
    lines = [f"| {' | '.join(heads)} | |", "| --- " * (len(heads) + 1) + "|"]
    for row in rows:
        times = [row[name] for name in columns]
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
    if (hand := found.get("simulated_hand")) is not None:
        parts += of_hand(hand["rows"], known=[row["name"] for row in found["simulated"]["rows"]])
    if found["ros"] is not None:
        parts += ["Over ROS, seen from the commands:", "", table(found["ros"]["rows"]), ""]
    if (hand := found.get("ros_hand")) is not None:
        parts += ["Over ROS, of a robot with a hand:", "", table(hand["rows"], HAND_TIMES), ""]
    page.write_text(before + "\n".join([*parts, END]) + after)


def of_hand(rows: list[dict[str, Any]], known: Collection[str]) -> list[str]:
    """Return the lines about a robot with a hand: a table of the rows that are not `known`."""
    others, own = ([row for row in rows if (row["name"] in known) is kind] for kind in (True, False))
    fine, worst = sum(row["ok"] for row in others), max(row["time_to_safe_ms"] or 0.0 for row in others)
    told = f"{fine} of the {len(others)} rows above are as expected there, within {worst:.0f} ms at most"
    return [
        f"With a hand, until arm and hand are safe; {told}. The hand's own:",
        "",
        table(own, HAND_TIMES),
        "",
    ]


def ros_names(contracts: Sequence[Contract]) -> list[list[str]]:
    """Return the names of the faults over ROS of each contract that none before it has.

    The controller's messages are at hand afterwards.
    """
    from dynamo_ros.nodes.faults.run import names
    from fakes.vendor_messages import provide

    provide()
    found: list[list[str]] = []
    for contract in contracts:
        found.append([name for name in names(contract) if not any(name in before for before in found)])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures; they are written even where the faults over ROS are broken off."""
    contracts = [load_contract(path) for path in (arguments.contract, arguments.hand_contract)]
    if arguments.only:
        return measure_again(arguments, contracts)
    moments, repeat = (QUICK_MOMENTS, 1) if arguments.quick else (MOMENTS, arguments.repeat)
    rows, hand = (simulated(contract, moments) for contract in contracts)
    found: list[dict[str, list[Row]]] = [{}, {}]
    try:
        if not arguments.no_ros:
            wanted = (lambda name: name in QUICK_ROS) if arguments.quick else bool
            found = [{name: [] for name in names if wanted(name)} for names in ros_names(contracts)]
            for contract, its in zip(contracts, found, strict=True):
                over_ros(contract, its, repeat, arguments.minutes)
    finally:
        result = summary(rows, hand, *([worst_of(*one) for one in its.items()] for its in found))
        result |= {"contract": contracts[0].name, "quick": arguments.quick}
        if arguments.json:
            arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return result


def measure_again(arguments: argparse.Namespace, contracts: Sequence[Contract]) -> dict[str, Any]:
    """Return all figures of the file of before, with those faults over ROS measured anew that are named."""
    before = json.loads(arguments.json.read_text())
    there: list[list[Row]] = []
    for contract, key, possible in zip(contracts, ("ros", "ros_hand"), ros_names(contracts), strict=True):
        found: dict[str, list[Row]] = {name: [] for name in arguments.only if name in possible}
        over_ros(contract, found, arguments.repeat, arguments.minutes)
        rows = {row.name: row for row in rows_of(before.get(key))}
        rows |= {name: worst_of(name, same) for name, same in found.items()}
        there.append([rows[name] for name in possible if name in rows])
    simulated_rows = (rows_of(before.get(key)) for key in ("simulated", "simulated_hand"))
    result: dict[str, Any] = before | summary(*simulated_rows, *there)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return result


def rows_of(found: dict[str, Any] | None) -> list[Row]:
    """Return the rows that `figures` made plain values of."""
    rows = [] if found is None else found["rows"]
    plain = [{name: row[name] for name in Row._fields if name in row} for row in rows]
    return [Row(**{**row, "problems": tuple(row["problems"])}) for row in plain]


def summary(rows: list[Row], hand: list[Row], ros: list[Row], ros_hand: list[Row]) -> dict[str, Any]:
    """Return the figures of the rows on simulated time and over ROS, without and with a hand."""
    head = figures([*rows, *hand, *ros, *ros_hand])
    head.pop("rows")
    # A row for each fault: on simulated time by its name, over ROS with `ROS: ` before it.
    kinds = {"": rows, "with a hand: ": hand, "ROS: ": [*ros, *ros_hand]}
    faults = {
        f"{kind}{row.name}": {**row._asdict(), "ok": row.ok} for kind, some in kinds.items() for row in some
    }
    parts = {"simulated": rows, "simulated_hand": hand, "ros": ros, "ros_hand": ros_hand}
    return {**head, "faults": faults, **{key: figures(one) if one else None for key, one in parts.items()}}


def main() -> int:
    """Measure, print and store; exit status 1 where something is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer moments, three faults over ROS")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--no-ros", action="store_true", help="on simulated time only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="over ROS, into the --json that is there")
    parser.add_argument("--repeat", type=int, default=2, help="of the faults over ROS")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each robot; no trial begins later")
    parser.add_argument("--contract", type=Path, default=CONTRACT)
    parser.add_argument("--hand-contract", type=Path, default=HAND_CONTRACT, help="another robot's")
    parser.add_argument("--docs", type=Path, help="page that gets the tables, of --json if that is there")
    arguments = parser.parse_args()
    if arguments.only and not (arguments.json and arguments.json.exists()):
        parser.error("--only puts its rows into the file of --json, which has to be there")
    if arguments.docs and arguments.json and arguments.json.exists() and not arguments.only:
        write_docs(json.loads(arguments.json.read_text()), arguments.docs)
        return 0
    found = measure(arguments)
    print(json.dumps({name: one for name, one in found.items() if not isinstance(one, dict)}))
    for name, row in found["faults"].items():
        times = f"safe after {row['time_to_safe_ms']} of {row['bound_ms']} ms"
        print(f"{name}: {row['seen']}, {times} {'; '.join(row['problems'])}")
    return 1 if found["not_ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
