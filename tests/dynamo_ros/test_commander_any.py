"""The commander under any input."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commander_fixtures import ARM, CONTRACT, DOWN, PERIOD, READY, SECOND, STEPPING, target
from dynamo_policies.contract import Contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import Commander
from dynamo_ros.core.limit_audit import audit
from dynamo_ros.core.ways import Given, Way, resting

numbers = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])
events = st.lists(
    st.one_of(
        st.tuples(st.just("aim"), st.lists(numbers, min_size=8, max_size=8), st.integers(-SECOND, SECOND)),
        st.tuples(
            st.just("near"),
            st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8),
            st.integers(-PERIOD, SECOND),
        ),
        st.tuples(
            st.just("jog"), st.lists(numbers | st.floats(-3.0, 3.0), min_size=8, max_size=8), st.just(0)
        ),
        st.tuples(st.sampled_from(["hold", "stop", "rearm", "clear", "off"]), st.none(), st.just(0)),
    ),
    min_size=1,
    max_size=10,
)
waits = st.sampled_from([PERIOD] * 6 + [0, 1, -PERIOD, PERIOD // 3, 3 * PERIOD, 2 * SECOND])
# How long a command is held up between its decision and its sending, and every how many commands.
delays = st.tuples(st.sampled_from([0, PERIOD // 2, 4 * PERIOD, 6 * PERIOD, 2 * SECOND]), st.integers(1, 9))


def apply(commander: Commander, event: tuple, last: np.ndarray, now: int) -> None:
    name, values, ahead = event
    if name == "aim":
        commander.aim(Target(Pose(np.array(values[:3]), np.array(values[3:7])), values[7]), now + ahead)
    elif name == "near":
        pose = Pose(np.array([0.4, 0.0, 0.3]) + values[:3], DOWN + values[3:7])
        commander.aim(Target(pose, values[7]), now + ahead)
    elif name == "jog":
        commander.jog(values[:7], values[7], now + SECOND)
    elif name in ("hold", "clear"):
        getattr(commander, name)()
    elif name == "stop":
        commander.stop("asked to")
    elif name == "rearm":
        commander.rearm(last, now)
    elif name == "off":  # the arm is not where it is commanded to be, and stays there
        commander.observe(last + 0.2, now)
        commander.observe(last + 0.2, now + SECOND)


@settings(deadline=None, max_examples=60)
@given(events=st.lists(st.tuples(events, waits, st.integers(1, 25), delays), min_size=1, max_size=4))
def test_no_command_exceeds_a_limit_whatever_is_asked_for_and_when(events: list) -> None:
    assert limits_broken(CONTRACT, events) == [()]


@settings(deadline=None, max_examples=60)
@given(events=st.lists(st.tuples(events, waits, st.integers(1, 25), delays), min_size=1, max_size=4))
def test_no_limit_is_exceeded_either_where_the_arm_does_not_brake_itself(events: list) -> None:
    assert set(limits_broken(STEPPING, events)) == {()}


def limits_broken(contract: Contract, events: list) -> list[tuple[str, ...]]:
    """Return the limits that each part of the arm's way broke."""
    commander, now = Commander(contract), 0
    commander.start(READY, now)
    way = Way(contract.arm, resting(READY))
    for asked, wait, times, (delay, every) in events:
        for event in asked:
            apply(commander, event, way.here(now), now)
        for n in range(times):
            now += wait
            commander.observe(way.here(now), now)
            command = commander.step(now)
            if command is None:
                continue
            now += delay if n % every == 0 else 0
            if not commander.may_send(command, now):
                way.here(now)  # what it has braked it has braked, whatever the clock says next
                continue
            way.go(Given(now, command.joints, command.braking))
            assert 0.0 <= command.target.gripper <= 1.0
    return [audit(contract, part).violations for part in way.parts]


@given(far=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
@settings(deadline=None, max_examples=30)
def test_first_command_is_near_the_measured_joints_however_far_the_target(far: tuple) -> None:
    commander = Commander(CONTRACT)
    commander.start(READY, 0)
    commander.aim(target(*far), 1)
    command = commander.step(PERIOD)
    assert command is not None
    assert np.abs(command.joints - READY).max() <= ARM.first_target_within_rad
