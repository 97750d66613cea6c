"""Histograms of durations, and records of plans, by an invented clock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_ros.core.timings import BINS, RECORDS, Histogram, Timings, bin_edges_ms

MS = 1_000_000


@given(st.lists(st.integers(1_000, 10_000 * MS), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantiles_are_exact_to_six_percent(durations: list[int], part: float) -> None:
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    expected = np.quantile(durations, part, method="inverted_cdf") / MS
    assert histogram.quantile_ms(part) == pytest.approx(expected, rel=0.0605)
    assert histogram.summary().longest_ms == max(durations) / MS


def test_no_duration_is_lost_however_short_or_long() -> None:
    histogram = Histogram()
    for duration in (-5, 0, 1, 10**15):
        histogram.add(duration)
    assert histogram.summary().samples == 4
    assert len(histogram.counts) == BINS == len(bin_edges_ms()) + 1


def test_a_plans_record_holds_what_its_slowest_image_took_and_its_own_stages() -> None:
    timings = Timings(itertools.count(0, MS).__next__)
    timings.arrived("fixed", 100, transport=3, decode=1)
    timings.arrived("wrist", 90, transport=7, decode=2)
    timings.begin(100, 200)
    timings.observed({"fixed": 100, "wrist": 90})
    with timings.measure("encode"):
        pass
    with timings.measure("publish"):  # of a command before the plan was there
        pass
    timings.accept(100, 300)
    assert timings.take_records() == []
    timings.begin(400, 500)  # the next plan begins before the first command by this one
    timings.add("publish", 5)
    timings.add("publish", 9)  # of the next command
    (record,) = timings.take_records()
    assert record.stages_ns == {"late": 0, "transport": 7, "decode": 2, "encode": MS, "publish": 5}
    assert (record.begun_ns, record.captured_ns, record.age_ns) == (200, 90, 210)
    assert timings.take_records() == []


def test_a_plan_that_was_dropped_leaves_no_record() -> None:
    timings = Timings(itertools.count().__next__)
    timings.begin(100, 200)
    timings.accept(50, 250)
    timings.begin(300, 400)
    assert timings.take_records() == []


def test_what_nobody_takes_is_bounded() -> None:
    timings = Timings(itertools.count().__next__)
    for tick in range(1, 3 * RECORDS):
        timings.arrived("fixed", tick, decode=1)
        timings.begin(tick, tick)
        timings.observed({"fixed": tick})
        timings.accept(tick, tick + 1)
        timings.add("publish", 1)
    timings.begin(10**6, 10**6)
    assert len(timings.take_records()) == RECORDS
    assert len(timings._arrivals) == RECORDS


def test_late_ticks_are_told_to_the_plan_that_waited_for_them() -> None:
    times = iter([0, 10 * MS, 24 * MS, 24 * MS, 30 * MS, 43 * MS])
    timings = Timings(times.__next__)
    for begun_ms in (0, 10, 23):
        timings.tick(10 * MS, begun_ms * MS)
    timings.begin(100, 200)  # at the third tick, which came 3 ms late and took 1 ms to take what had come
    timings.tick(10 * MS, 30 * MS)
    timings.tick(10 * MS, 42 * MS)
    timings.accept(100, 300)  # at the fifth, 2 and 1 ms
    timings.add("publish", 1)
    (record,) = timings.take_records()
    assert record.stages_ns["late"] == 7 * MS
    assert timings.summary()["jitter"].samples == 4
