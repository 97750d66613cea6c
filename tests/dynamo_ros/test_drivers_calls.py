"""A stream of commands through one service, and an arm's way into its mode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_ros.core.free_drive import ModeCall
from dynamo_ros.core.xarm_preparation import NOT_CLEARED_HERE, Preparation, Report
from dynamo_ros.drivers.latest_call import LatestCall
from fakes.bus import FakeService

MS = 1_000_000
PATIENCE_NS = 300 * MS
BOOTED, READY = Report(mode=0, state=4, error=0, warning=0), Report(mode=1, state=2, error=0, warning=0)


@pytest.fixture
def service() -> FakeService:
    return FakeService("/xarm/set_servo_angle_j")


@pytest.fixture
def calls(service: FakeService) -> LatestCall[int]:
    return LatestCall(service, lambda wish: wish, patience_ns=PATIENCE_NS)


def test_while_a_call_is_in_flight_only_the_newest_wish_waits(
    service: FakeService, calls: LatestCall[int]
) -> None:
    for wish in range(4):
        calls.offer(wish, wish * 10 * MS)
    assert service.requests == [0]
    assert calls.dropped == 2
    service.answer()
    assert service.requests == [0, 3]
    service.answer()
    assert service.requests == [0, 3]
    assert (calls.sent, calls.refused, calls.failure()) == (2, 0, "")


@given(st.lists(st.booleans(), max_size=60))
def test_never_two_calls_in_flight_and_the_last_wish_arrives(steps: list[bool]) -> None:
    service = FakeService("any")
    calls: LatestCall[int] = LatestCall(service, lambda wish: wish, patience_ns=PATIENCE_NS)
    last = None
    for now, offers in enumerate(steps):
        if offers:
            calls.offer(now, now)
            last = now
        elif service.open:
            service.answer()
        assert len(service.open) <= 1
    while service.open:
        service.answer()
    assert service.requests == sorted(service.requests)
    assert (service.requests or [None])[-1] == last
    assert calls.sent + calls.dropped == sum(steps)


def test_what_a_stop_sends_waits_for_nothing(service: FakeService, calls: LatestCall[int]) -> None:
    calls.offer(1, 0)
    calls.offer(2, MS)
    for wish in (3, 4, 5):
        calls.press(wish, wish * MS)
    assert service.requests == [1, 3, 4, 5]
    service.answer(ret=1)  # of the first; it is of no interest any more
    assert calls.refused == 0
    assert service.requests == [1, 3, 4, 5]


def test_what_waits_can_be_dropped(service: FakeService, calls: LatestCall[int]) -> None:
    for wish in (1, 2):
        calls.offer(wish, wish * MS)
    calls.drop()
    service.answer()
    assert (service.requests, calls.dropped) == ([1], 1)
    calls.offer(3, 3 * MS)
    assert service.requests == [1, 3]


def test_one_refusal_is_counted_and_lasting_ones_are_a_failure(
    service: FakeService, calls: LatestCall[int]
) -> None:
    service.prompt, service.code = True, -8
    calls.offer(0, 0)
    assert calls.failure() == ""
    calls.offer(1, PATIENCE_NS)
    assert calls.refused == 2
    assert calls.failure() == "/xarm/set_servo_angle_j returned -8 (out of range)"
    service.code = 0
    calls.offer(2, PATIENCE_NS + MS)
    assert calls.failure() == ""


def test_a_service_that_does_not_answer_is_a_failure(service: FakeService, calls: LatestCall[int]) -> None:
    calls.offer(0, 0)
    calls.offer(1, PATIENCE_NS)
    assert calls.failure() == ""
    calls.offer(2, PATIENCE_NS + 1)
    assert calls.unanswered == 1
    assert calls.failure() == "/xarm/set_servo_angle_j does not answer"


def prepared(*reports: Report, codes: dict[str, int] | None = None) -> tuple[Preparation, list[ModeCall]]:
    """Return a preparation for mode 1 after these reports, and the calls that it asked for."""
    preparation, made = Preparation(1), []
    preparation.begin(0)
    for i, report in enumerate(reports):
        preparation.observe(report)
        while (call := preparation.due(i)) is not None:
            made.append(call)
            preparation.answered(call, (codes or {}).get(call.service, 0), "", i)
    return preparation, made


def test_the_way_into_a_mode_is_the_vendors_and_ends_with_a_report_of_it() -> None:
    preparation, made = prepared(BOOTED)
    assert made == [ModeCall("motion_enable", 1, 8), ModeCall("set_mode", 1), ModeCall("set_state", 0)]
    preparation.observe(BOOTED)  # from before the change
    assert preparation.state == "confirming"
    preparation.observe(READY)
    assert preparation.state == "ready"


def test_what_may_be_cleared_is_cleared_once_at_the_beginning() -> None:
    preparation, made = prepared(BOOTED._replace(error=24, warning=11), READY)
    assert [call.service for call in made[:2]] == ["clean_error", "clean_warn"]
    assert preparation.state == "ready"
    preparation.observe(BOOTED._replace(error=24))
    assert preparation.state == "failed"
    assert preparation.reason == "the arm reports error 24 (too fast)"
    assert preparation.due(10**12) is None


@pytest.mark.parametrize("error", sorted(NOT_CLEARED_HERE))
def test_what_a_person_must_look_at_is_never_cleared(error: int) -> None:
    preparation, made = prepared(BOOTED._replace(error=error), READY)
    assert made == []
    assert preparation.state == "failed"
    assert f"error {error}" in preparation.reason
    assert "look at the cause" in preparation.reason


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (READY._replace(error=31), "error 31 (collision: abnormal current)"),
        (READY._replace(state=4), "in state 4 (stopped)"),
        (READY._replace(state=3), "in state 3 (paused)"),
        (READY._replace(mode=0), "in mode 0, not in 1: someone changed it"),
    ],
)
def test_a_ready_arm_that_leaves_its_mode_fails(report: Report, reason: str) -> None:
    preparation, _ = prepared(BOOTED, READY, report)
    assert preparation.state == "failed"
    assert reason in preparation.reason


def test_a_refused_call_fails_with_the_code() -> None:
    preparation, made = prepared(BOOTED, codes={"set_mode": 9})
    assert made[-1] == ModeCall("set_mode", 1)
    assert preparation.reason == "set_mode 1 returned 9 (not in a state for this)"


def test_silence_fails_wherever_it_comes() -> None:
    preparation = Preparation(1)
    preparation.begin(0)
    preparation.due(2_100 * MS)
    assert preparation.reason == "the arm's driver has reported nothing for 2 s"
    preparation.observe(BOOTED)  # it came up late
    assert preparation.reason == ""
    assert preparation.due(2_100 * MS) is not None
    preparation.due(4_200 * MS)
    assert preparation.reason == "motion_enable did not answer within 2 s"
    preparation, _ = prepared(BOOTED)
    preparation.observe(BOOTED)
    preparation.due(2_100 * MS)
    assert preparation.reason == "the arm is in state 4 (stopped)"
