"""What is measured of streams, against what was put into them."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bag_factory import (
    Raw,
    episode_messages,
    frame_pixels,
    image_message,
    joint_message,
    pose_message,
    serialize,
)
from dynamo_policies.cdr import CdrError, concerns, same_but_for_the_stamp, stamp_of
from dynamo_policies.contract import Contract
from dynamo_policies.episode_quality import Quality, QualityMeter
from dynamo_policies.quality import KEPT, Spread, StreamMeter, Thinned
from raw_faults import MS, drifting, frozen, only, stamp_ns, stamped

START = 1_700_000_000 * 10**9
PERIOD = 10 * MS


def measured(contract: Contract, messages: list[Raw]) -> Quality:
    meter = QualityMeter(contract)
    for raw in messages:
        meter.add(*raw)
    return meter.report()


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_the_stamp_of_a_message_is_read_without_decoding_it(stamp: int) -> None:
    cdr = serialize(joint_message(["joint1"], [0.5], stamp))
    assert stamp_of(cdr) == stamp_of(memoryview(cdr)) == stamp
    big = b"\0\0\0\0" + struct.pack(">iI", stamp // 10**9, stamp % 10**9)
    assert stamp_of(big) == stamp


def test_what_is_too_short_for_a_stamp_is_refused() -> None:
    with pytest.raises(CdrError, match="a message of 11 bytes is too short for a header of 12"):
        stamp_of(bytes(11))


def test_joints_of_a_shared_topic_are_told_apart(contract: Contract) -> None:
    arm, gripper = contract.streams["arm"], contract.streams["gripper"]
    cdr = serialize(joint_message(["drive_joint"], [0.0], START))
    assert concerns(gripper, cdr)
    assert not concerns(arm, cdr)
    assert not concerns(gripper, serialize(joint_message(["drive_joint_2"], [0.0], START)))


def test_an_image_is_the_same_only_if_every_pixel_is() -> None:
    pixels = frame_pixels(0, 64, 48)
    one, later = (serialize(image_message(pixels, stamp)) for stamp in (START, START + 1))
    assert same_but_for_the_stamp(one, later)
    other = pixels.copy()
    other[17, 31, 2] ^= 1
    assert not same_but_for_the_stamp(one, serialize(image_message(other, START)))
    assert not same_but_for_the_stamp(one, one[:-1])


@given(st.lists(st.integers(1, 100), min_size=1, max_size=50))
def test_times_between_messages_are_those_between_stamps(steps_ms: list[int]) -> None:
    meter = StreamMeter(100.0)
    stamps = START + np.cumsum([0, *steps_ms]) * MS
    for stamp in map(int, stamps):
        meter.add(stamp, stamp + 3 * MS)
    found = meter.report()
    assert found.messages == len(stamps)
    assert found.rate_hz == pytest.approx(1e3 / np.mean(steps_ms))
    assert found.jitter_ms == pytest.approx(np.std(steps_ms), abs=1e-6)
    assert found.gap_ms == max(steps_ms)
    assert np.percentile(steps_ms, 98, method="lower") * 0.999 <= found.p99_ms <= max(steps_ms)
    assert found.age_ms == found.oldest_ms == 3.0


def test_missing_messages_are_counted_by_the_contracts_rate() -> None:
    meter = StreamMeter(100.0)
    for place in (0, 1, 2, 5, 6, 9):
        meter.add(START + place * PERIOD, START + place * PERIOD)
    assert meter.report().missing == 4


def test_jitter_is_not_taken_for_missing_messages() -> None:
    meter, chance = StreamMeter(100.0), np.random.default_rng(0)
    for place in range(500):
        meter.add(START + place * PERIOD + int(chance.uniform(-3, 3) * MS), START + place * PERIOD)
    assert meter.report().missing == 0


def test_repeated_and_returning_stamps_are_told_apart() -> None:
    meter = StreamMeter(100.0)
    for place in (0, 1, 1, 3, 2, 4):
        meter.add(START + place * PERIOD, START)
    found = meter.report()
    assert (found.messages, found.repeated, found.returns, found.return_ms) == (6, 1, 1, 10.0)


def test_a_stream_that_begins_late_or_ends_early_is_seen_at_the_edges() -> None:
    meter = StreamMeter(100.0)
    meter.add(START, START)
    assert meter.report(START - 200 * MS, START + 10 * MS).edge_ms == 200.0
    assert meter.report(START, START + 300 * MS).edge_ms == 300.0
    assert math.isnan(meter.report().edge_ms)
    assert StreamMeter(100.0).report(START, START + 5 * MS).edge_ms == 5.0


def test_drift_of_a_clock_is_measured(contract: Contract) -> None:
    small = [raw for raw in episode_messages(contract, 40.0) if raw.topic == "/xarm/joint_states"]
    found = measured(contract, drifting(small, "/xarm/joint_states", 30.0)).streams["arm"]
    assert found.drift_ms_min == pytest.approx(30.0, rel=0.05)
    assert measured(contract, small).streams["arm"].drift_ms_min == 0.0


def test_frozen_images_count_while_the_arm_moves(contract: Contract) -> None:
    topic = contract.streams["wrist"].topic
    found = measured(contract, frozen(episode_messages(contract, 4.0), topic, 20, 45)).streams["wrist"]
    assert found.frozen == 45
    assert found.same_ms == pytest.approx(1500.0, abs=1.0)
    assert 500.0 < found.frozen_ms < 1400.0  # less what the arm took to move


def test_frozen_images_do_not_count_while_the_arm_stands(contract: Contract) -> None:
    messages = episode_messages(contract, 4.0)
    arm = [raw for raw in only(messages, "/xarm/joint_states") if concerns(contract.streams["arm"], raw.data)]
    standing = {id(raw): stamped(arm[0], stamp_ns(raw))._replace(receive_ns=raw.receive_ns) for raw in arm}
    messages = [standing.get(id(raw), raw) for raw in messages]
    topic = contract.streams["wrist"].topic
    found = measured(contract, frozen(messages, topic, 20, 45)).streams["wrist"]
    assert (found.frozen, found.frozen_ms) == (45, 0.0)
    assert found.same_ms == pytest.approx(1500.0, abs=1.0)


def test_cameras_and_tool_of_a_clean_episode_are_together(contract: Contract) -> None:
    found = measured(contract, episode_messages(contract, 3.0))
    (skew,) = found.skews
    assert (skew.one, skew.other, skew.stamps_ms, skew.age_ms) == ("fixed", "wrist", 0.0, 0.0)
    assert 0.0 < found.tracking.p95_mm <= found.tracking.worst_mm < 10.0
    assert found.broken == {}


def test_a_message_of_nonsense_is_counted_and_the_rest_measured(contract: Contract) -> None:
    messages = episode_messages(contract, 1.0)
    topic = contract.streams["wrist"].topic
    found = measured(contract, [*messages, Raw(topic, b"\0\1\0\0", messages[-1].receive_ns)])
    assert found.broken == {"wrist": 1}
    assert found.streams["wrist"].messages == 30


def test_memory_is_bounded_however_long_it_goes_on() -> None:
    thinned, spread = Thinned(), Spread()
    for value in range(100_000):
        thinned.add(value)
        spread.add(1000 + value)
    kept = thinned.values()
    assert len(kept) < KEPT
    assert thinned.percentile(50) == pytest.approx(50_000, rel=0.01)
    assert spread.percentile(50) == pytest.approx(51_000, rel=0.06)
    assert math.isnan(Thinned().percentile(50))
    assert math.isnan(Spread().deviation)


def test_targets_in_a_wrong_frame_are_told_of_the_targets_stream(contract: Contract) -> None:
    messages = [
        raw._replace(data=serialize(pose_message([0.0] * 6 + [1.0], START, "camera")))
        if raw.topic == contract.streams["target_pose"].topic
        else raw
        for raw in episode_messages(contract, 0.5)
    ]
    assert set(measured(contract, messages).broken) == {"target_pose"}
