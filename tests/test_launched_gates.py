"""No launch file starts a policy without the gates of the robot's contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynamo_policies.contract import load_contract

ROOT = Path(__file__).parents[1]
STARTERS = [*ROOT.glob("launch/*.launch.py"), *ROOT.glob("src/dynamo_ros/dynamo_ros/*launching.py")]
ROBOTS = sorted(ROOT.glob("config/robots/*.yaml"))
OFF = re.compile(r"gate|reaction|deadman|estop|takeover")


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.name)
def test_a_policy_is_started_with_the_contract_of_the_robot(path: Path) -> None:
    for block in path.read_text().split("{")[1:]:
        if '"bundle": ' in block and '"device": ' in block:
            assert '"contract": ' in block


@pytest.mark.parametrize("path", STARTERS, ids=lambda path: path.name)
def test_no_argument_of_a_launch_reaches_a_gate(path: Path) -> None:
    declared = re.findall(r'declare\(\s*"(\w+)"', path.read_text())
    assert not [name for name in declared if OFF.search(name)]


@pytest.mark.parametrize("path", ROBOTS, ids=lambda path: path.stem)
def test_every_robot_has_every_gate_on(path: Path) -> None:
    contract = load_contract(path)
    gates = contract.gates
    named = ("stale", "unreadable", "frozen", "non_finite", "plan", "clock", "robot_state", "novelty")
    assert all(getattr(gates, name).reaction in ("hold", "stop") for name in (*named, "deadman"))
    assert "none" not in gates.stale.streams.values()
    # Only the xArm's controller tells its state in a message that is read here.
    assert (gates.robot_state.topic is not None) == (contract.kinematics == "xarm7")
