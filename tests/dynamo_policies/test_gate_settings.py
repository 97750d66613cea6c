"""The `gates:` of a contract."""

from __future__ import annotations

import dataclasses

import pytest

from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.gates import Gates, StaleGate, worse


def with_gates(contract: Contract, text: str) -> Contract:
    plain = dataclasses.replace(contract, gates=Gates()).to_yaml()
    head = plain[: plain.index("gates:")]
    return parse_contract(head + text)


def test_a_contract_without_gates_has_every_gate_on(contract: Contract) -> None:
    gates = with_gates(contract, "").gates
    held = ("stale", "unreadable", "frozen", "frozen_joints", "non_finite", "plan", "clock", "novelty")
    for name in (*held, "robot_state", "deadman"):
        assert getattr(gates, name).reaction in ("hold", "stop")
    assert gates.estop.topic == "/dynamo/estop"


def test_gates_do_not_change_what_a_contract_is_known_by(contract: Contract) -> None:
    stricter = dataclasses.replace(contract, gates=Gates(stale=StaleGate(reaction="stop")))
    assert stricter.hash == contract.hash
    assert parse_contract(stricter.to_yaml()).gates == stricter.gates


def test_an_unknown_reaction_or_gate_is_named(contract: Contract) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'hold'"):
        with_gates(contract, "gates: {stale: {reaction: holt}}")
    with pytest.raises(UnknownNameError, match="did you mean 'deadman'"):
        with_gates(contract, "gates: {dedman: {reaction: hold}}")


def test_a_stream_that_is_not_observed_has_no_gate(contract: Contract) -> None:
    with pytest.raises(ConfigError, match="did you mean 'wrist'"):
        with_gates(contract, "gates: {stale: {streams: {writs: stop}}}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{plan: {periods: 0}}", "periods is 0; it must be positive"),
        ("{novelty: {least: 6, of: 5}}", "least 6 and of 5"),
        ("{deadman: {topic: joy}}", "write '/joy'"),
        ("{clock: {stop_after_s: -1}}", r"clock.stop_after_s is -1"),
        ("{frozen: {moved_rad: 0}}", "moved_rad is 0; it must be positive"),
        ("{frozen_joints: {moved_rad: -0.1}}", "moved_rad is -0.1; it must be positive"),
        ("{frozen_joints: {finger_moved_rad: 0}}", "finger_moved_rad is 0; it must be positive"),
        ("{frozen_joints: {lag_ms: 0}}", "lag_ms is 0; it must be positive"),
        ("{frozen_joints: {stop_after_s: 0}}", r"frozen_joints.stop_after_s is 0"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_an_error(contract: Contract, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        with_gates(contract, f"gates: {text}")


def test_the_more_severe_of_two_reactions_wins() -> None:
    assert worse("hold", "slow") == worse("slow", "hold") == "hold"
    assert worse("none", "stop") == "stop"
