"""When commands are due, however unevenly they are asked for."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dynamo_ros.core.command_clock import CommandClock

PERIOD = 20
PATIENCE = 5 * PERIOD


@given(waits=st.lists(st.integers(0, 5 * PERIOD), min_size=1, max_size=60))
def test_no_more_commands_come_than_periods_pass(waits: list[int]) -> None:
    clock, now, times = CommandClock(PERIOD, PATIENCE), 0, []
    for wait in waits:
        now += wait
        if clock.due(now, at_rest=False):
            times.append(now)
    for i, begun in enumerate(times):
        for n, ended in enumerate(times[i:]):
            assert n <= (ended - begun) / PERIOD + 1


def test_jitter_of_less_than_half_a_period_loses_no_command() -> None:
    clock = CommandClock(PERIOD, PATIENCE)
    assert all(clock.due(k * PERIOD + (k % 3 - 1) * 9, at_rest=False) for k in range(50))


def test_a_clock_that_jumps_back_is_asked_again_at_once() -> None:
    clock = CommandClock(PERIOD, PATIENCE)
    assert clock.due(1000, at_rest=False)
    assert clock.due(500, at_rest=False)
    assert not clock.due(501, at_rest=False)
    assert clock.due(500 + PERIOD, at_rest=False)


def test_a_pause_is_noticed_whatever_is_started_meanwhile() -> None:
    clock = CommandClock(PERIOD, PATIENCE)
    clock.due(0, at_rest=False)
    clock.start(6 * PERIOD)
    assert clock.paused(6 * PERIOD)
    clock.due(6 * PERIOD, at_rest=False)
    assert not clock.paused(7 * PERIOD)


def test_a_jump_that_is_told_of_is_no_pause_and_loses_no_command() -> None:
    for by in (50 * PERIOD, -50 * PERIOD):
        clock = CommandClock(PERIOD, PATIENCE)
        assert clock.due(0, at_rest=False)
        clock.shift(by)
        assert not clock.paused(PERIOD + by)
        assert not clock.due(by + 1, at_rest=False)
        assert clock.due(PERIOD + by, at_rest=False)


def test_a_command_counts_from_when_it_is_sent() -> None:
    clock = CommandClock(PERIOD, PATIENCE)
    clock.due(0, at_rest=False)
    assert not clock.late(4 * PERIOD)
    assert not clock.paused(8 * PERIOD)


@given(waits=st.lists(st.tuples(st.integers(0, 2 * PERIOD), st.integers(0, 6 * PERIOD)), max_size=60))
def test_commands_are_sent_half_a_period_apart_at_least(waits: list[tuple[int, int]]) -> None:
    clock, now, sent = CommandClock(PERIOD, PATIENCE), 0, []
    for wait, held_up in waits:
        now += wait
        if clock.due(now, at_rest=False):
            now += held_up
            if not clock.late(now):
                sent.append(now)
    assert all(later - earlier >= PERIOD / 2 for earlier, later in itertools.pairwise(sent))


def test_a_time_without_commands_is_a_pause_however_often_was_asked() -> None:
    clock = CommandClock(PERIOD, PATIENCE)
    assert clock.due(0, at_rest=False)
    for k in range(1, 8):
        assert clock.due(k * PERIOD, at_rest=False)
        clock.skip()
    assert clock.paused(8 * PERIOD)


@given(gaps=st.lists(st.integers(1, 30 * PERIOD), max_size=20))
def test_periods_without_a_command_are_counted_once(gaps: list[int]) -> None:
    clock, now = CommandClock(PERIOD, 3 * PERIOD // 2), 0
    assert clock.due(now, at_rest=False)
    missed, asked = 0, 0
    for gap in gaps:
        now += gap
        missed += clock.missed(now)
        asked += clock.missed(now)
    assert asked == 0
    assert missed * PERIOD <= now + PERIOD / 2
    assert now - missed * PERIOD <= 3 * PERIOD // 2


def test_what_begins_at_rest_is_never_late_and_what_goes_on_is() -> None:
    clock = CommandClock(PERIOD, PATIENCE)
    assert clock.due(100 * PERIOD, at_rest=True)
    assert not clock.late(200 * PERIOD)
    assert clock.due(201 * PERIOD, at_rest=False)
    assert clock.late(206 * PERIOD)
    assert clock.paused(206 * PERIOD)
