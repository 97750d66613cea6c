"""Every fault of a robot with a hand on simulated time: arm and hand are safe in time, or the row says so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.gates import FrozenJointsGate, Reaction, StaleGate
from dynamo_ros.core import gates
from dynamo_ros.core.frozen import FrozenGate
from dynamo_ros.core.hand_limiter import HandLimiter, HandStep
from dynamo_ros.faults.bench import Bench
from dynamo_ros.faults.circling import Circling
from dynamo_ros.faults.hand import HandTick, safe_s
from dynamo_ros.faults.injections import freeze
from dynamo_ros.faults.table import faults
from dynamo_ros.faults.trial import Row, try_fault, with_deadman
from policy_fixtures import CONTRACT as KITCHEN

ROBOTS = Path(__file__).parents[2] / "config" / "robots"
CONTRACT = with_deadman(load_contract(ROBOTS / "allegro_manipulation.yaml"))
OTHERS = ("franka_allegro", "xarm7_allegro_v5", "xarm7_allegro_dime")
TELLING = ("hand killed", "hand frozen", "hand's name wrong", "hand's targets not a number")
HAND = tuple(name for name in faults(CONTRACT) if "hand" in name)
PERIOD = CONTRACT.arm.period_ns


def tried(name: str, contract: Contract = CONTRACT) -> Row:
    return try_fault(name, faults(contract)[name], contract)


def check(row: Row) -> None:
    assert row.problems == ()
    if row.bound_ms is None:
        return
    assert row.time_to_safe_ms is not None
    assert row.hand_safe_ms is not None
    assert row.hand_safe_ms <= row.time_to_safe_ms <= row.bound_ms


@pytest.mark.parametrize("name", faults(CONTRACT))
def test_arm_and_hand_answer_a_fault_as_the_contract_says(name: str) -> None:
    check(tried(name))


@pytest.mark.parametrize("robot", OTHERS)
@pytest.mark.parametrize("name", TELLING)
def test_hands_of_all_kinds_answer_their_faults(robot: str, name: str) -> None:
    check(tried(name, load_contract(ROBOTS / f"{robot}.yaml")))


def test_a_robot_without_a_hand_has_no_faults_of_one() -> None:
    assert len(HAND) == 18
    assert not [name for name in faults(KITCHEN) if "hand" in name]


def test_a_hand_that_no_gate_watches_stops_with_its_arm() -> None:
    gates = dataclasses.replace(CONTRACT.gates, stale=StaleGate(streams={"hand": "none"}))
    row = tried("hand killed", dataclasses.replace(CONTRACT, gates=gates))
    check(row)
    assert (row.seen, row.after, row.bound_ms) == ("stop (hand)", "stopped until re-armed", 540.0)


@pytest.mark.parametrize(
    ("reaction", "seen"), [("stop", "stop (frozen_joints)"), ("slow", "stop (hand)"), ("none", "stop (hand)")]
)
def test_reaction_to_a_frozen_hand_is_the_contracts(reaction: Reaction, seen: str) -> None:
    gates = dataclasses.replace(CONTRACT.gates, frozen_joints=FrozenJointsGate(reaction=reaction))
    row = tried("hand frozen", dataclasses.replace(CONTRACT, gates=gates))
    check(row)
    assert row.seen == seen


@pytest.mark.parametrize("reaction", ["hold", "none"])
def test_fingers_that_are_said_to_stand_stay_where_they_were_sent(reaction: Reaction) -> None:
    gates = dataclasses.replace(CONTRACT.gates, frozen_joints=FrozenJointsGate(reaction=reaction))
    bench = Bench(Circling(CONTRACT), dataclasses.replace(CONTRACT, gates=gates))
    bench.begin()
    bench.run(0.6)
    said = bench.hand.at(bench.now_ns)
    freeze("hand", "position").begin(bench)
    bench.run(1.0)
    assert bench.runner.stopped is not None
    assert bench.runner.stopped.kind in ("hand", "frozen_joints")
    sent = [tick.joints for tick in bench.hand.ticks if tick.joints is not None]
    before = [tick.joints for tick in bench.hand.ticks if tick.at_ns < bench.runner.stopped.at_ns]
    assert before[-1] is not None
    np.testing.assert_array_equal(sent[-1], before[-1])
    assert np.abs(sent[-1] - said).max() > 0.05


def test_a_gate_that_does_not_see_the_hands_end_fails_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates.StaleGate, "check", lambda _self, _now_ns: gates.CLEAR)
    assert "none () came of it" in tried("hand killed").problems


def test_a_gate_that_does_not_see_a_frozen_hand_fails_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrozenGate, "check", lambda _self, _now_ns: gates.CLEAR)
    assert {"stop (hand) came of it", "safe too late"} <= set(tried("hand frozen").problems)


def test_a_hand_that_goes_on_while_its_arm_holds_is_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HandLimiter, "hold", lambda _self: None)
    row = tried("deadman released")
    assert row.seen == "hold (deadman)"
    assert row.problems == ("safe too late",)
    assert row.hand_safe_ms is not None
    assert row.time_to_safe_ms == row.hand_safe_ms > 60.0


def test_a_hand_that_jumps_breaks_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    def jump(limiter: HandLimiter, goal: np.ndarray, _fraction: float, _dt_s: float) -> HandStep:
        limiter._joints = goal
        return HandStep(goal, ())

    monkeypatch.setattr(HandLimiter, "_towards", jump)
    assert "broke the limits of the hand's step, the hand's velocity" in tried("policy wild").problems


def test_the_hand_swings_as_long_as_the_arm_circles() -> None:
    bench = Bench(Circling(CONTRACT), CONTRACT)
    bench.begin()
    bench.run(4.5)
    assert bench.hand.violations == ()
    sent = np.array([tick.joints for tick in bench.hand.ticks if tick.joints is not None])
    assert len(sent) == pytest.approx(4.5 * CONTRACT.arm.rate_hz, abs=2)
    assert np.ptp(sent[-200:], axis=0).min() > 0.3
    assert np.abs(np.diff(sent, axis=0)).max(axis=1).min() > 2e-3


def ticks(commanded: list[float | None], measured: list[float]) -> list[HandTick]:
    """Ticks of a hand whose joints all do the same."""
    one = np.full(16, 0.3)
    return [
        HandTick(n * PERIOD, None if joint is None else joint * one, place * one)
        for n, (joint, place) in enumerate(zip(commanded, measured, strict=True))
    ]


def test_a_hand_is_safe_with_the_first_command_that_repeats_the_last() -> None:
    held = ticks([1.0, 1.1, 1.2, 1.3, 1.3, 1.3], [0.9, 1.0, 1.1, 1.2, 1.3, 1.3])
    assert safe_s(CONTRACT, held, 0, 5 * PERIOD) == 4 * PERIOD / 1e9


def test_a_hand_is_safe_with_the_first_command_that_relaxes_it() -> None:
    relaxed = ticks([1.0, 1.1, 1.2, 1.1, 1.0, None], [0.9, 0.95, 1.0, 1.0, 1.0, 1.0])
    assert safe_s(CONTRACT, relaxed, 0, 5 * PERIOD) == 3 * PERIOD / 1e9


@pytest.mark.parametrize("last", [1.4, 0.7])
def test_a_hand_that_goes_on_after_it_was_held_is_not_safe(last: float) -> None:
    resumed = ticks([1.0, 1.1, 1.2, 1.2, 1.2, last], [0.9, 1.0, 1.1, 1.2, 1.2, 1.2])
    assert safe_s(CONTRACT, resumed, 0, 5 * PERIOD) is None


def test_what_a_hand_does_after_it_has_rested_does_not_count() -> None:
    rested = ticks([1.0, 1.1, *[1.2] * 8, 1.3, 1.4], [0.9, 1.0, 1.1, *[1.2] * 8, 1.3])
    assert safe_s(CONTRACT, rested, 0, 11 * PERIOD) == 3 * PERIOD / 1e9


def test_a_hand_is_safe_a_period_after_its_last_command() -> None:
    ceased = ticks([1.0, 1.1], [0.9, 1.0])
    assert safe_s(CONTRACT, ceased, PERIOD, 50 * PERIOD) == PERIOD / 1e9
