"""Every fault of the table on simulated time: what comes of it, and how soon the arm is safe."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.gates import NonFiniteGate, StaleGate
from dynamo_ros.core.ways import Given
from dynamo_ros.faults import distortions as bad
from dynamo_ros.faults.bench import Bench, Tick
from dynamo_ros.faults.circling import Circling
from dynamo_ros.faults.injections import freeze
from dynamo_ros.faults.judge import safety, violations
from dynamo_ros.faults.sensors import header
from dynamo_ros.faults.table import faults
from dynamo_ros.faults.trial import Row, pick, try_fault, with_deadman
from policy_fixtures import CONTRACT as KITCHEN

CONTRACT = with_deadman(KITCHEN)
PERIOD = CONTRACT.arm.period_ns


def tried(name: str, contract: Contract = CONTRACT) -> Row:
    return try_fault(name, faults(contract)[name], contract)


@pytest.mark.parametrize("name", faults(CONTRACT))
def test_fault_is_answered_as_the_contract_says_within_its_bound_and_all_limits(name: str) -> None:
    row = tried(name)
    assert row.problems == ()
    if row.bound_ms is not None:
        assert row.time_to_safe_ms is not None
        assert row.time_to_safe_ms <= row.bound_ms


def test_where_a_gate_is_off_another_may_answer_later() -> None:
    gates = dataclasses.replace(KITCHEN.gates, non_finite=NonFiniteGate(reaction="none"))
    deaf = dataclasses.replace(CONTRACT, gates=gates)
    row = try_fault("policy not a number", faults(CONTRACT)["policy not a number"], deaf)
    assert (row.expected, row.seen) == ("any (non_finite)", "hold (plan)")


def test_reaction_of_a_single_stream_is_expected_as_the_contract_has_it() -> None:
    gates = dataclasses.replace(CONTRACT.gates, stale=StaleGate(streams={"fixed": "stop"}))
    row = tried("camera killed", dataclasses.replace(CONTRACT, gates=gates))
    assert row.ok
    assert (row.expected, row.after) == ("stop (stale)", "stopped until re-armed")


def test_late_answer_is_a_problem() -> None:
    fault = faults(CONTRACT)["camera killed"]
    early = fault.expects(CONTRACT)
    assert early is not None
    row = try_fault("camera killed", fault._replace(expects=lambda _: early._replace(within_ns=0)), CONTRACT)
    assert "safe too late" in row.problems or "never safe" in row.problems


def test_fault_that_the_contract_asks_no_gate_for_is_no_problem() -> None:
    row = tried("deadman released", KITCHEN)
    assert row.ok
    assert row.expected == "not asked for by the contract"


def test_circle_goes_on_for_ever() -> None:
    bench = Bench(Circling(CONTRACT), CONTRACT)
    bench.begin()
    bench.run(6.0)
    joints = np.array([tick.joints for tick in bench.ticks])
    assert len(joints) == pytest.approx(6 * CONTRACT.arm.rate_hz, abs=1)
    assert np.ptp(joints[-50:], axis=0).max() > 0.05
    assert violations(CONTRACT, bench.ticks) == ()


def ticks(joints: list[float], rests: list[float]) -> list[Tick]:
    """Ticks of the first joint."""
    one = np.eye(7)[0]
    return [
        Tick(n * PERIOD, Given(n * PERIOD, q * one, np.empty((0, 7))), rest * one, q * one, "", ())
        for n, (q, rest) in enumerate(zip(joints, rests, strict=True))
    ]


def test_arm_is_safe_from_the_first_command_whose_rest_stays() -> None:
    braking = ticks([0.0, 0.1, 0.2, 0.26, 0.3, 0.3], [0.1, 0.2, 0.3, 0.3, 0.3, 0.3])
    assert safety(CONTRACT, braking, 0, 5 * PERIOD)[:2] == (3 * PERIOD / 1e9, 5 * PERIOD / 1e9)


def test_braking_that_is_broken_off_is_not_safe() -> None:
    resumed = ticks([0.0, 0.1, 0.2, 0.22, 0.26, 0.4], [0.1, 0.2, 0.3, 0.3, 0.4, 0.5])
    assert safety(CONTRACT, resumed, 0, 5 * PERIOD).safe_s is None


def test_driver_is_at_its_end_one_period_after_the_last_command() -> None:
    ended = ticks([0.0, 0.1], [0.1, 0.2])
    assert safety(CONTRACT, ended, PERIOD, 50 * PERIOD).safe_s == PERIOD / 1e9


def test_jump_after_a_pause_breaks_limits() -> None:
    still = ticks([0.0] * 5, [0.0] * 5)
    given = [tick.given for tick in still]
    late = [one._replace(at_ns=one.at_ns + 100 * PERIOD, joints=one.joints + 0.1) for one in given]
    jumped = [tick._replace(given=one) for tick, one in zip(still, late, strict=True)]
    assert "velocity" in violations(CONTRACT, [*still, *jumped])


def test_slowed_sensor_is_silent_at_first() -> None:
    slow = bad.slowed(2.0)
    came = [now for now in range(0, 2 * 10**9, 10**8) if slow(None, now)]
    assert came == [5 * 10**8, 10**9, 15 * 10**8]


def test_late_message_is_overtaken_on_its_line() -> None:
    line, late_ns = bad.Line(), {"first": 80, "second": 10, "third": 0}
    line.distort = lambda message, _now_ns: [(late_ns[message], message)]
    assert line.carry("first", 0) == []
    assert line.carry("second", 33) == []
    assert line.carry("third", 66) == ["second", "third"]
    line.distort = bad.silent
    assert line.carry("fourth", 100) == ["first"]


def test_frozen_sensor_repeats_what_it_told_last_under_new_stamps() -> None:
    bench = Bench(Circling(CONTRACT), CONTRACT)
    bench.run(0.2)
    sensor = bench.sensors["fixed"]
    before = sensor.last.data
    freeze("fixed", "data").begin(bench)
    bench.run(0.1)
    assert sensor.last.data == before
    assert sensor.last.header.stamp.nanosec > 200_000_000


def test_stuck_stamp_is_that_of_the_message_before() -> None:
    stick = bad.stuck_stamp(100.0)
    for stamp in (2 * 10**9, 21 * 10**8):
        message = type("Message", (), {"header": header(stamp)})()
        stick(message, stamp)
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 900_000_000)


def test_unknown_fault_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'camera killed'"):
        pick(CONTRACT, ["camera kiled"])


def test_command_prints_writes_and_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "faults.json"
    assert main(["faults", "--only", "e-stop", "joints killed", "--json", str(path)]) == 0
    assert "joints killed" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert [row["name"] for row in found["rows"]] == ["joints killed", "e-stop"]
    assert found["worst_time_to_safe_ms"] == max(row["time_to_safe_ms"] for row in found["rows"])
