import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.errors import ConfigError
from dynamo_ros.core.hand_tracking import (
    MOST_BYTES,
    HandMessageError,
    hand_frame,
    parse_hand,
    parse_level,
    tip_gaps,
)
from dynamo_ros.core.pinch import PinchReader
from hands import UPRIGHT, hand, message


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_a_hand_is_read_as_it_was_sent(kind: str) -> None:
    read = parse_hand(message(hand(), kind))
    np.testing.assert_allclose(read.points, hand(), atol=1e-6)
    assert read.absolute == (kind == "absolute")


POINT = b"0.1,0.2,0.3"
GOOD = message(hand())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (b"", "begins a hand message"),
        (b"right:" + GOOD.partition(b":")[2], "begins a hand message"),
        (b"absolute:" + b"|".join([POINT] * 23), "23 points, it should have 24"),
        (b"absolute:" + b"|".join([POINT] * 25), "25 points"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,2"]), "is not a point"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,2,3,4"]), "is not a point"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,nan,3"]), "is not a point"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,inf,3"]), "is not a point"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,1e999,3"]), "at most 100 is possible"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,1_0,3"]), "is not a point"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,101,3"]), "at most 100 is possible"),
        (b"absolute:" + b"|".join([POINT] * 23 + [b"1,0." + b"1" * 31 + b",3"]), "is not a point"),
        (b"absolute:" + b"|".join([POINT] * 24), "not tracked"),
        (GOOD + b" " * MOST_BYTES, "bytes; at most"),
        (pickle.dumps([1.0, 2.0]), "plain text|begins a hand message"),
        ("absolute:١,٢,٣".encode(), "plain text"),
    ],
)
def test_what_is_no_hand_is_refused(broken: bytes, says: str) -> None:
    with pytest.raises(HandMessageError, match=says):
        parse_hand(broken)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=2000), st.integers(0, len(GOOD) - 1).map(lambda cut: GOOD[:cut])))
def test_no_message_whatever_does_more_than_be_refused(noise: bytes) -> None:
    try:
        read = parse_hand(noise)
    except HandMessageError:
        return
    assert np.isfinite(read.points).all()


def test_buttons_say_high_or_low_and_nothing_else() -> None:
    assert [parse_level(b"High"), parse_level(b" Low\n")] == ["High", "Low"]
    with pytest.raises(HandMessageError, match="'High' and 'Low' are possible"):
        parse_level(b"high")


def test_the_frame_of_an_upright_hand_is_up_right_and_forward() -> None:
    wrist, axes = hand_frame(hand((0.1, 1.2, 0.3)))
    np.testing.assert_allclose(wrist, [0.1, 1.2, 0.3])
    np.testing.assert_allclose(axes, UPRIGHT, atol=1e-9)


def test_the_gaps_are_the_distances_of_the_tips_from_the_thumb() -> None:
    gaps = tip_gaps(hand(pinch="ring", gap_m=0.005))
    assert gaps == pytest.approx({"index": 0.035, "middle": 0.015, "ring": 0.005, "pinky": 0.025})


def pinches(*gaps: float, settle_s: float = 0.0) -> list[str | None]:
    """Return what is decided with each gap of one finger, 10 ms apart, after an open hand."""
    reader = PinchReader(closes_m=0.03, opens_m=0.04, settle_s=settle_s)
    reader.finger({"ring": 1.0}, 0)
    return [reader.finger({"ring": gap}, i * 10_000_000) for i, gap in enumerate(gaps)]


def test_a_pinch_is_told_once_however_noisy_the_gap() -> None:
    told = pinches(0.05, 0.032, 0.029, 0.031, 0.028, 0.035, 0.02, 0.041, 0.029)
    assert told == [None, None, "ring", *[None] * 5, "ring"]


def test_a_pinch_shorter_than_it_takes_to_settle_is_none() -> None:
    assert pinches(0.02, 0.02, 0.05, settle_s=0.03) == [None] * 3
    assert pinches(0.02, 0.02, 0.02, 0.02, settle_s=0.03) == [None, None, None, "ring"]


def test_of_two_fingers_within_reach_the_nearest_at_last_is_meant() -> None:
    reader = PinchReader(closes_m=0.03, opens_m=0.04, settle_s=0.02)
    reader.finger({"ring": 1.0, "pinky": 1.0}, 0)
    assert reader.finger({"ring": 0.02, "pinky": 0.03}, 10_000_000) is None
    assert reader.finger({"ring": 0.02, "pinky": 0.01}, 30_000_000) == "pinky"
    assert reader.finger({"ring": 0.01, "pinky": 0.02}, 40_000_000) is None


def test_a_hand_that_comes_into_view_pinched_decides_nothing() -> None:
    reader = PinchReader(closes_m=0.03, opens_m=0.04, settle_s=0.0)
    assert [reader.finger({"ring": gap}, 0) for gap in (0.01, 0.05, 0.01)] == [None, None, "ring"]


def test_a_pinch_that_opens_before_it_closes_is_refused() -> None:
    with pytest.raises(ConfigError, match="opens at no less"):
        PinchReader(closes_m=0.03, opens_m=0.02, settle_s=0.0)
