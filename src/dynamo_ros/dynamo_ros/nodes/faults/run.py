"""All faults over ROS, one after the other; the cable between two computers as the last.

`python -m dynamo_ros.nodes.faults.run CONTRACT JSON SPACE END` is the second computer: it runs the one trial
in which that cable is cut, and writes its row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import DynamoError, UnknownNameError
from dynamo_ros.faults.expectations import stale
from dynamo_ros.faults.trial import Row
from dynamo_ros.nodes.faults.network import Cable, NetworkError, cable
from dynamo_ros.nodes.faults.own_clock import OwnClockError
from dynamo_ros.nodes.faults.rig import Rig, for_rig, rig
from dynamo_ros.nodes.faults.table import RosFault, ros_faults, within
from dynamo_ros.nodes.faults.trials import not_tried, try_on

CUT, CUT_S, OTHER_S = "network cut and back", 3.0, 240.0
ATTEMPTS = 2  # a service that was just found may not answer
ELSEWHERE = "cameras on another computer"


def run_over_ros(contract: Contract, only: Sequence[str] | None = None) -> Iterator[Row]:
    """Yield a row for each fault called `only`, all if None; UnknownNameError for a name that is none."""
    contract = for_rig(contract)
    table, possible = ros_faults(contract), names(contract)
    for name in only or ():
        if name not in possible:
            raise UnknownNameError("fault", name, possible)
    chosen = {name: one for name, one in table.items() if only is None or name in only}
    if chosen:
        with tempfile.TemporaryDirectory() as folder, rig(contract, Path(folder)) as made:
            for name, fault in chosen.items():
                if made.going_on:
                    yield try_whatever_comes(made, name, fault)
    if only is None or CUT in only:
        yield run_with_cable(contract)


def names(contract: Contract) -> tuple[str, ...]:
    """Return the names of all faults."""
    return (*ros_faults(contract), CUT)


def try_whatever_comes(made: Rig, name: str, fault: RosFault, *, attempts: int = ATTEMPTS) -> Row:
    """Return what comes of `fault`; where no attempt at the trial ends, each with a new node, why not."""
    try:
        return try_on(made, name, fault)
    except OwnClockError as error:
        return not_tried(name, fault.what, f"not tried: {error}")
    except (DynamoError, OSError) as error:
        made.end_node()
        if attempts > 1:
            return try_whatever_comes(made, name, fault, attempts=attempts - 1)
        return not_tried(name, fault.what, fault.answer, problem=f"the trial failed: {error}")


def run_with_cable(contract: Contract) -> Row:
    """Return what comes of a cut cable between cameras and inference, in namespaces of their own."""
    with tempfile.TemporaryDirectory() as folder:
        file, found = Path(folder) / "contract.yaml", Path(folder) / "row.json"
        file.write_text(contract.to_yaml())
        try:
            with cable() as made:
                words = [str(file), str(found), made.spaces[0], made.ends[0]]
                command = [*made.inside(1), sys.executable, "-m", __name__, *words]
                environ = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
                subprocess.run(command, env=environ, check=True, timeout=OTHER_S)
        except NetworkError as error:
            return not_tried(CUT, ELSEWHERE, f"not tried: {error}")
        except subprocess.SubprocessError as error:
            return not_tried(CUT, ELSEWHERE, "hold", problem=f"the trial failed: {error}")
        row = json.loads(found.read_text())
        return Row(**{**row, "problems": tuple(row["problems"])})


def cut_cable(contract: Contract, space: str, end: str) -> Row:
    """Run the trial, on the computer of the inference node."""
    there = Cable((space, ""), (end, ""))
    age_ns = within(contract, stale(next(iter(contract.cameras))))
    fault = RosFault(
        f"{ELSEWHERE}, for {CUT_S:g} s",
        lambda _rig: there.cut(),
        lambda _rig: there.mend(),
        "hold",
        age_ns,
        CUT_S,
        ("stopped",),
    )
    with tempfile.TemporaryDirectory() as folder, rig(contract, Path(folder), there.inside(0)) as made:
        row = try_on(made, CUT, fault)
        # Back: the same cameras are seen again, so that the policy can begin anew.
        begun = made.begin()
        return row if begun else row._replace(problems=(*row.problems, "does not begin again"))


def main() -> None:
    """Be the second computer."""
    contract, found, space, end = load_contract(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
    found.write_text(json.dumps(cut_cable(contract, space, end)._asdict()))


if __name__ == "__main__":
    main()
