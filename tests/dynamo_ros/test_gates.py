"""Each gate by itself, and all of them on the board."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace

import pytest

from dynamo_policies import gates as settings
from dynamo_policies.contract import Contract
from dynamo_policies.gates import Gates
from dynamo_ros.core.gate_board import GateBoard
from dynamo_ros.core.gates import (
    ClockGate,
    DeadmanGate,
    EstopGate,
    NoveltyGate,
    PlanGate,
    ReportGate,
    RobotStateGate,
    StaleGate,
)
from policy_fixtures import CONTRACT, SECOND

MS = 1_000_000
NOW = 10 * SECOND
WRIST = CONTRACT.streams["wrist"]  # at most 150 ms old
GOOD = {"state": 2, "mode": 1, "err": 0, "warn": 0, "mt_able": 0x7F}


def with_gates(**gates: object) -> Contract:
    return dataclasses.replace(CONTRACT, gates=Gates(**gates))


def board(**gates: object) -> GateBoard:
    """Return a board on which all streams were heard of at NOW."""
    made = GateBoard(with_gates(**gates))
    made.reset(NOW)
    hear(made, NOW)
    return made


def hear(made: GateBoard, now_ns: int) -> None:
    for gate in made.stale.values():
        gate.saw(now_ns)
    made.plan.heard(now_ns)


@pytest.mark.parametrize(("age_ms", "reaction"), [(0, "none"), (150, "none"), (151, "hold"), (-99, "none")])
def test_a_stream_is_stale_beyond_its_maximum_age(age_ms: int, reaction: str) -> None:
    gate = StaleGate("wrist", WRIST, "hold", ahead_ms=100.0)
    gate.saw(NOW - age_ms * MS)
    assert gate.check(NOW).reaction == reaction


def test_a_stream_that_was_never_heard_is_stale() -> None:
    verdict = StaleGate("wrist", WRIST, "hold", ahead_ms=100.0).check(NOW)
    assert verdict == ("hold", "wrist has not been heard on /wrist/camera/color/image_raw")


def test_a_stamp_from_the_future_does_not_hide_a_dead_stream() -> None:
    gate = StaleGate("wrist", WRIST, "hold", ahead_ms=100.0)
    gate.saw(NOW + 3600 * SECOND)
    assert "ahead" in gate.check(NOW).text


def test_latency_counts_as_age() -> None:
    late = dataclasses.replace(WRIST, latency_ms=100.0)
    gate = StaleGate("wrist", late, "hold", ahead_ms=100.0)
    gate.saw(NOW - 60 * MS)
    assert gate.check(NOW).reaction == "hold"


def test_reports_hold_until_each_source_is_good_again() -> None:
    gate = ReportGate("hold")
    gate.report("joint1 is NaN", of="arm")
    gate.report("bgr8 given", of="wrist")
    gate.clear("arm")
    assert gate.check(NOW) == ("hold", "bgr8 given")
    gate.clear("wrist")
    assert gate.check(NOW).reaction == "none"


def test_a_policy_that_does_not_act_holds_after_its_periods() -> None:
    gate = PlanGate(settings.PlanGate(periods=5.0), 100 * MS)
    gate.reset(NOW)
    assert gate.check(NOW + 500 * MS).reaction == "none"
    assert gate.check(NOW + 501 * MS).reaction == "hold"
    gate.heard(NOW + 400 * MS)
    assert gate.check(NOW + 501 * MS).reaction == "none"


@pytest.mark.parametrize(("jump_ms", "way"), [(101, "101 ms ahead"), (-101, "101 ms back")])
def test_a_clock_that_jumps_either_way_stops(jump_ms: int, way: str) -> None:
    gate = ClockGate(settings.ClockGate())
    gate.saw(NOW, 0)
    gate.saw(NOW + 20 * MS, 20 * MS)
    assert gate.check(NOW).reaction == "none"
    gate.saw(NOW + 40 * MS + jump_ms * MS, 40 * MS)
    assert gate.check(NOW) == ("stop", f"the clock jumped {way}")
    gate.saw(NOW + 60 * MS + jump_ms * MS, 60 * MS)
    assert gate.check(NOW).reaction == "stop"


def test_a_slow_command_is_no_jump_of_the_clock() -> None:
    gate = ClockGate(settings.ClockGate())
    gate.saw(NOW, 0)
    gate.saw(NOW + 5 * SECOND, 5 * SECOND)
    assert gate.check(NOW).reaction == "none"


def robot_gate(**report: int) -> RobotStateGate:
    gate = RobotStateGate(settings.RobotStateGate(topic="/xarm/robot_states"), 7)
    gate.saw(SimpleNamespace(**(GOOD | report)), NOW)
    return gate


@pytest.mark.parametrize(
    ("report", "reaction", "text"),
    [
        ({}, "none", ""),
        ({"state": 1}, "none", ""),
        ({"err": 31}, "stop", "error 31"),
        ({"mode": 0}, "stop", r"mode 0, possible is \[1\]"),
        ({"state": 4}, "stop", r"state 4, possible is \[1, 2\]"),
        ({"mt_able": 0x3F}, "stop", "0x3f"),
        ({"warn": 11}, "slow", "warns, 11"),
    ],
)
def test_the_controllers_report_is_judged(report: dict[str, int], reaction: str, text: str) -> None:
    verdict = robot_gate(**report).check(NOW)
    assert verdict.reaction == reaction
    assert re.search(text, verdict.text)


def test_a_controller_that_reports_no_more_stops() -> None:
    assert robot_gate().check(NOW + 500 * MS).reaction == "none"
    assert robot_gate().check(NOW + 501 * MS).reaction == "stop"
    silent = RobotStateGate(settings.RobotStateGate(topic="/xarm/robot_states"), 7)
    assert silent.check(NOW) == ("stop", "no robot state has come on /xarm/robot_states")


def test_the_deadman_must_be_held_and_heard() -> None:
    gate = DeadmanGate(settings.DeadmanGate(topic="/deadman"))
    assert gate.check(NOW).reaction == "hold"
    gate.saw(True, NOW)
    assert gate.check(NOW + 250 * MS).reaction == "none"
    assert gate.check(NOW + 251 * MS).reaction == "hold"
    gate.saw(False, NOW + 252 * MS)
    assert gate.check(NOW + 252 * MS).text == "the deadman on /deadman is not held"


def test_what_was_heard_before_the_clock_went_back_counts_no_longer() -> None:
    deadman, robot = DeadmanGate(settings.DeadmanGate(topic="/deadman")), robot_gate()
    deadman.saw(True, NOW)
    for gate, kind in ((deadman, "hold"), (robot, "stop")):
        assert gate.check(NOW - 10 * MS).reaction == "none"  # as good clocks differ, or are set right
        assert gate.check(NOW - 5 * SECOND).reaction == kind
        assert gate.check(NOW).reaction == kind  # when that time comes again
    deadman.saw(True, NOW)
    assert deadman.check(NOW).reaction == "none"


def test_one_press_of_the_estop_stops_however_short() -> None:
    gate = EstopGate(settings.EstopGate())
    gate.saw(True)
    gate.saw(False)
    assert gate.check(NOW).reaction == "stop"
    gate.reset(NOW)
    assert gate.check(NOW).reaction == "none"


def test_an_estop_that_is_still_pressed_survives_the_reset() -> None:
    gate = EstopGate(settings.EstopGate())
    gate.saw(True)
    gate.reset(NOW)
    assert gate.check(NOW).reaction == "stop"


def test_novelty_needs_most_of_the_last_observations() -> None:
    gate = NoveltyGate(settings.NoveltyGate(least=3, of=5))
    for ratio in (1.5, 0.5, 1.5, 0.9, 0.8):
        gate.saw(ratio)
    assert gate.check(NOW).reaction == "none"
    for ratio in (float("nan"), 2.0, 2.0):
        gate.saw(ratio)
    assert gate.check(NOW).reaction == "hold"


def test_a_hold_that_lasts_becomes_a_stop() -> None:
    made = board()
    made.unreadable.report("joint1 is NaN", of="arm")
    assert made.check(NOW).verdict.reaction == "hold"
    hear(made, NOW + 499 * MS)
    assert made.check(NOW + 499 * MS).verdict.reaction == "hold"
    verdict, kind = made.check(NOW + 500 * MS)
    assert (verdict.reaction, kind) == ("stop", "unreadable")


def test_a_hold_that_ends_in_time_is_forgotten() -> None:
    made = board()
    made.unreadable.report("joint1 is NaN", of="arm")
    made.check(NOW)
    made.unreadable.clear("arm")
    hear(made, NOW + 400 * MS)
    assert made.check(NOW + 400 * MS).verdict.reaction == "none"
    made.unreadable.report("joint1 is NaN", of="arm")
    hear(made, NOW + 600 * MS)
    assert made.check(NOW + 600 * MS).verdict.reaction == "hold"
    assert made.trips["unreadable"] == 2


def test_the_most_severe_verdict_counts() -> None:
    made = board()
    made.unreadable.report("joint1 is NaN", of="arm")
    made.estop.saw(True)
    assert made.check(NOW) == (("stop", "true on /dynamo/estop"), "estop")
    assert set(made.wants()) == {"unreadable", "estop"}


def test_a_person_is_not_held_by_what_guards_the_policy() -> None:
    made = board()
    late = NOW + 160 * MS  # the cameras are stale, the arm's joints are not
    made.stale["arm"].saw(late)
    made.novelty.saw(float("nan"))
    assert made.check(late, guarding="arm").verdict.reaction == "none"
    assert made.check(late, guarding="policy").verdict.reaction == "hold"
    made.estop.saw(True)
    assert made.check(late, guarding="arm").verdict.reaction == "stop"


def test_a_gate_that_only_watches_counts_and_says_so() -> None:
    made = board(unreadable=settings.UnreadableGate(reaction="none"))
    made.unreadable.report("bgr8 given", of="wrist")
    assert made.check(NOW).verdict.reaction == "none"
    assert made.trips["unreadable"] == 1
    assert made.wants() == {"unreadable": "none: bgr8 given"}
    assert "unreadable" in made.silent


def test_every_gate_of_the_kitchen_acts_but_the_deadman() -> None:
    assert GateBoard(CONTRACT).silent == ("deadman",)
