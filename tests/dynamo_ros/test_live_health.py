"""Alarms on simulated seconds of messages: raised within a second, and taken back."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

import raw_faults as faults
from bag_factory import START_NS, Raw, episode_messages
from dynamo_policies.contract import Contract
from dynamo_policies.limits import Colour
from dynamo_ros.core.live_health import LiveHealth, News, StreamHealth

WRIST, JOINTS, TARGET = "/wrist/camera/color/image_raw", "/xarm/joint_states", "/dynamo/target_pose"
SECOND = 10**9
LOOK_NS = SECOND // 10


@pytest.fixture(scope="module")
def small(contract: Contract) -> Contract:
    """The contract with small images, which are quick to make."""
    tiny = {name: replace(stream, width=24, height=16) for name, stream in contract.cameras.items()}
    return replace(contract, streams=contract.streams | tiny)


@pytest.fixture(scope="module")
def messages(small: Contract) -> list[Raw]:
    return episode_messages(small, 8.0)


def watched(
    contract: Contract, messages: Sequence[Raw], until_s: float = 8.0
) -> list[tuple[float, StreamHealth]]:
    """Return all states with their times, seconds since the start, looked at ten times a second."""
    health, told = LiveHealth(contract), []
    waiting = list(reversed(messages))
    for now_ns in range(START_NS + LOOK_NS, START_NS + round(until_s * SECOND), LOOK_NS):
        while waiting and waiting[-1].receive_ns <= now_ns:
            health.saw(*waiting.pop())
        told += [((now_ns - START_NS) / SECOND, state) for state in health.look(now_ns)]
    return told


def times(told: list[tuple[float, StreamHealth]], stream: str, *colours: Colour) -> list[float]:
    """Return when the stream was of one of the colours, after the first second."""
    return [
        time for time, state in told if state.stream == stream and state.colour in colours and time >= 1.0
    ]


def test_a_clean_robot_raises_no_alarm(small: Contract, messages: list[Raw]) -> None:
    told = watched(small, messages)
    assert {state.stream for time, state in told if state.colour != "green" and time >= 1.0} == set()
    last = {state.stream: state for _, state in told}
    assert last["wrist"].text == "30.0 Hz"
    assert last["wrist"].figures["age ms"] == pytest.approx(2.0)
    assert last["cameras"].figures["fixed to wrist stamps ms"] == 0.0


@pytest.mark.parametrize(("factor", "colour"), [(2, "red"), (4, "red")])
def test_a_camera_that_slows_is_told_within_a_second_and_its_recovery_too(
    small: Contract, messages: list[Raw], factor: int, colour: Colour
) -> None:
    held = faults.only(messages, WRIST)
    slow = faults.replaced(messages, WRIST, held[:90] + held[90:150:factor] + held[150:])
    alarmed = times(watched(small, slow), "wrist", "red")
    assert 3.0 < alarmed[0] <= 4.0
    assert 5.0 < alarmed[-1] <= 6.5


def test_a_dead_camera_is_told_within_a_second_and_its_return_too(
    small: Contract, messages: list[Raw]
) -> None:
    told = watched(small, faults.with_gap(messages, WRIST, 90, 60))
    alarmed = times(told, "wrist", "red")
    assert 3.0 < alarmed[0] <= 3.5
    assert 5.0 <= alarmed[-1] <= 6.0
    assert any("silent for 1." in state.text for _, state in told if state.stream == "wrist")
    assert times(told, "fixed", "amber", "red") == []


def test_a_frozen_camera_is_told_within_a_second_while_the_arm_moves(
    small: Contract, messages: list[Raw]
) -> None:
    told = watched(small, faults.frozen(messages, WRIST, 90, 60))
    alarmed = times(told, "wrist", "amber", "red")
    assert 3.0 < alarmed[0] <= 4.0
    assert 4.9 <= alarmed[-1] <= 6.0


def test_a_clock_that_is_wrong_is_told(small: Contract, messages: list[Raw]) -> None:
    told = watched(small, faults.offset(messages, JOINTS, 1000.0))
    state = next(state for time, state in told if time >= 1.0 and state.stream == "arm")
    assert (state.colour, state.text) == ("red", "received -998 ms after its stamps")


def test_cameras_that_are_apart_are_told(small: Contract, messages: list[Raw]) -> None:
    told = watched(small, faults.offset(messages, WRIST, -100.0))
    state = told[-1][1]
    assert (state.stream, state.colour, state.text) == (
        "cameras",
        "red",
        "fixed to wrist: 100 ms apart by ages",
    )


def test_what_never_came_is_told_but_not_of_commands(small: Contract, messages: list[Raw]) -> None:
    silent = faults.without(faults.without(messages, TARGET), WRIST)
    last = {state.stream: state for _, state in watched(small, silent, 4.0)}
    assert (last["wrist"].colour, last["wrist"].text) == ("red", f"nothing has come yet from {WRIST}")
    assert (last["target_pose"].colour, last["target_pose"].text) == ("green", "nothing yet")


def test_simulated_time_may_begin_anew(small: Contract, messages: list[Raw]) -> None:
    health = LiveHealth(small)
    for raw in messages:
        health.saw(*raw)
    health.look(messages[-1].receive_ns)
    for raw in messages[: len(messages) // 2]:
        health.saw(*raw)
    now_ns = messages[len(messages) // 2].receive_ns
    assert {state.colour for state in health.look(now_ns)} == {"green"}


def test_only_changes_are_news() -> None:
    def state(colour: Colour) -> tuple[StreamHealth, ...]:
        return (StreamHealth("wrist", colour, "", {}),)

    news = News()
    told = [news.of(state(colour)) for colour in ("green", "red", "red", "green")]
    assert [len(changed) for changed in told] == [0, 1, 0, 1]


@pytest.mark.parametrize(("every", "colour"), [(12, "amber"), (40, "green")])
def test_a_little_too_slow_is_amber_once_it_lasts(
    small: Contract, messages: list[Raw], every: int, colour: Colour
) -> None:
    held = [raw for place, raw in enumerate(faults.only(messages, WRIST)) if place % every]
    last = {state.stream: state for _, state in watched(small, faults.replaced(messages, WRIST, held))}
    assert last["wrist"].colour == colour
