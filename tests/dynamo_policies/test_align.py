"""Alignment, held against a brute-force reading of the rule."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_policies.align import Aligner, AlignError, ticks_between
from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Observation, Sample

MS = 1_000_000
PERIOD_NS = 100 * MS


def with_latencies(contract: Contract, latencies_ms: tuple[float, float]) -> Contract:
    """Return a contract without cameras whose arm and gripper have these latencies."""
    streams = {
        "arm": replace(contract.streams["arm"], latency_ms=latencies_ms[0]),
        "gripper": replace(contract.streams["gripper"], latency_ms=latencies_ms[1]),
    }
    return replace(contract, streams=streams)


def sample(contract: Contract, stream: str, stamp_ns: int) -> Sample:
    """Return a sample whose values tell its stamp, ms."""
    return Sample(stream, stamp_ns, np.full(len(contract.streams[stream].joints), stamp_ns / MS))


def expected(contract: Contract, samples: list[Sample], tick_ns: int) -> tuple[list[float], set[str]]:
    """Return the state and the stale streams at a tick, by the rule as it is written down."""
    state, stale = [], set()
    for name in contract.proprioception:
        stream = contract.streams[name]
        known = [s for s in samples if s.stream == name and s.stamp_ns - stream.latency_ns <= tick_ns]
        newest = max(known, key=lambda s: s.stamp_ns, default=None)
        if newest is None:
            state += [np.nan] * len(stream.joints)
        else:
            state += newest.value.tolist()
        too_old = (
            newest is not None
            and stream.max_age_ns is not None
            and (tick_ns - (newest.stamp_ns - stream.latency_ns) > stream.max_age_ns)
        )
        if newest is None or too_old:
            stale.add(name)
    return state, stale


def check(observation: Observation, contract: Contract, samples: list[Sample]) -> None:
    state, stale = expected(contract, samples, observation.tick_ns)
    np.testing.assert_array_equal(observation.state, np.float32(state))
    assert set(observation.stale) == stale
    assert observation.valid == (not stale)


arrivals = st.lists(st.tuples(st.sampled_from(["arm", "gripper"]), st.integers(0, 400)), max_size=30)
latencies = st.tuples(st.integers(0, 60), st.integers(-20, 60))


@given(arrivals, latencies, st.lists(st.integers(0, 500), min_size=1, max_size=6))
def test_observations_follow_the_rule(
    contract: Contract, pushed: list[tuple[str, int]], late: tuple[int, int], ticks: list[int]
) -> None:
    small = with_latencies(contract, late)
    samples = [sample(small, name, stamp * MS) for name, stamp in pushed]
    aligner = Aligner(small)
    for one in samples:
        aligner.push(one)
    for tick in sorted(ticks):
        check(aligner.observe(tick * MS), small, samples)


@given(
    arrivals.flatmap(lambda pushed: st.tuples(st.just(pushed), st.permutations(pushed))), st.integers(0, 500)
)
def test_the_order_of_pushes_does_not_matter(
    contract: Contract, orders: tuple[list[tuple[str, int]], list[tuple[str, int]]], tick: int
) -> None:
    small = with_latencies(contract, (0, 0))
    observations = []
    for pushed in orders:
        aligner = Aligner(small)
        for name, stamp in pushed:
            aligner.push(sample(small, name, stamp * MS))
        observations.append(aligner.observe(tick * MS))
    np.testing.assert_array_equal(observations[0].state, observations[1].state)
    assert observations[0].stale == observations[1].stale


@given(arrivals)
def test_pushing_between_ticks_gives_what_pushing_before_gives(
    contract: Contract, pushed: list[tuple[str, int]]
) -> None:
    small = with_latencies(contract, (0, 0))
    samples = sorted((sample(small, name, stamp * MS) for name, stamp in pushed), key=lambda s: s.stamp_ns)
    aligner, waiting = Aligner(small), list(samples)
    for tick in range(0, 500 * MS, PERIOD_NS):
        while waiting and waiting[0].stamp_ns <= tick:
            aligner.push(waiting.pop(0))
        check(aligner.observe(tick), small, samples)


def test_a_value_without_maximum_age_holds_for_ever(contract: Contract) -> None:
    small = with_latencies(contract, (0, 0))
    aligner = Aligner(small)
    aligner.push(sample(small, "gripper", 0))
    observation = aligner.observe(10**18)
    assert observation.stale == ("arm",)
    assert observation.state[-1] == 0.0


def test_a_stream_is_fresh_at_its_maximum_age_and_stale_after(contract: Contract) -> None:
    small = with_latencies(contract, (0, 0))
    for tick_ns, stale in ((100 * MS, ()), (100 * MS + 1, ("arm",))):
        aligner = Aligner(small)
        aligner.push(sample(small, "gripper", 0))
        aligner.push(sample(small, "arm", 0))
        assert aligner.observe(tick_ns).stale == stale


def test_of_two_samples_with_one_stamp_the_first_counts(contract: Contract) -> None:
    small = with_latencies(contract, (0, 0))
    aligner = Aligner(small)
    aligner.push(Sample("gripper", 5, np.array([1.0])))
    aligner.push(Sample("gripper", 5, np.array([2.0])))
    assert aligner.observe(5).state[-1] == 1.0


def test_memory_is_bounded_and_the_newest_samples_stay(contract: Contract) -> None:
    aligner = Aligner(contract)
    stamps = range(0, 100_000 * MS, 10 * MS)
    for stamp in stamps:
        aligner.push(sample(contract, "arm", stamp))
    assert len(aligner._histories["arm"]._samples) <= 201
    np.testing.assert_array_equal(aligner.observe(stamps[-1]).state[:7], np.float32(stamps[-1] / MS))
    assert len(aligner._histories["arm"]._samples) == 1


def test_images_are_there_once_their_camera_was_seen(contract: Contract) -> None:
    aligner = Aligner(contract)
    image = np.full((2, 2, 3), 7, np.uint8)
    aligner.push(Sample("wrist", 0, image))
    observation = aligner.observe(0)
    assert list(observation.images) == ["wrist"]
    assert observation.images["wrist"] is image
    assert observation.stale == ("fixed", "arm", "gripper")


def test_action_streams_are_ignored_and_unknown_ones_are_errors(contract: Contract) -> None:
    aligner = Aligner(contract)
    aligner.push(Sample("target_gripper", 0, np.zeros(1)))
    with pytest.raises(UnknownNameError, match="stream 'wirst' is unknown; did you mean 'wrist'"):
        aligner.push(Sample("wirst", 0, np.zeros(1)))


def test_time_does_not_run_backwards_unless_reset(contract: Contract) -> None:
    aligner = Aligner(contract)
    aligner.push(sample(contract, "gripper", 500))
    aligner.observe(1000)
    with pytest.raises(AlignError, match="tick 999 lies before the last one observed, 1000"):
        aligner.observe(999)
    aligner.reset()
    assert aligner.observe(999).stale == ("fixed", "wrist", "arm", "gripper")


@given(st.integers(-1000, 1000), st.integers(-10, 500), st.integers(1, 50))
def test_ticks_are_the_multiples_of_the_period_within_bounds(start: int, length: int, period: int) -> None:
    expected_ticks = [t for t in range(start, start + length + 1) if t % period == 0]
    assert list(ticks_between(start, start + length, period)) == expected_ticks
