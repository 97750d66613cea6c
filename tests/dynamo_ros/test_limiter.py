"""The limiter and the commander under any input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_policies.contract import load_contract
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.commander import Commander, StoppedError
from dynamo_ros.core.limiter import Limiter

CONTRACT = load_contract(Path(__file__).parents[2] / "config/robots/xarm_kitchen.yaml")
ARM = CONTRACT.arm
LOWER, UPPER = np.asarray(ARM.lower_rad), np.asarray(ARM.upper_rad)
READY = np.array([0.0, -0.45, 0.0, 0.9, 0.0, 1.35, 0.0])
PERIOD = ARM.period_ns
SECOND = 1_000_000_000
FASTEST = np.asarray(ARM.velocity_rad_s) * PERIOD / SECOND  # rad in one command
DOWN = np.array(CONTRACT.reference_rotation)

numbers = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])
joints = st.lists(st.floats(-50.0, 50.0), min_size=7, max_size=7).map(np.array)


def target(x: float, y: float, z: float, gripper: float = 0.0) -> Target:
    return Target(Pose(np.array([x, y, z]), DOWN), gripper)


def run(commander: Commander, since_ns: int, seconds: float, *, follow: bool = True) -> list:
    """Step at the contract's rate; the measured arm is where it was commanded if `follow`."""
    commands = []
    for now in range(since_ns + PERIOD, since_ns + int(seconds * SECOND) + 1, PERIOD):
        command = commander.step(now)
        if command is not None:
            commands.append(command)
            commander.observe(command.joints if follow else READY, now)
    return commands


@pytest.fixture
def commander() -> Commander:
    made = Commander(CONTRACT)
    made.start(READY, 0)
    return made


@given(last=joints.map(lambda q: np.clip(q, LOWER, UPPER)), wanted=joints, dt_s=st.floats(0.0, 0.1))
def test_joints_never_leave_their_limits(last: np.ndarray, wanted: np.ndarray, dt_s: float) -> None:
    limited, _ = Limiter(CONTRACT).joints(last, wanted, dt_s=dt_s)
    assert (limited >= LOWER - 1e-12).all()
    assert (limited <= UPPER + 1e-12).all()
    assert (np.abs(limited - last) <= np.asarray(ARM.velocity_rad_s) * dt_s + 1e-12).all()


@given(last=joints, wanted=joints)
def test_joints_started_outside_the_limits_come_no_farther_out(last: np.ndarray, wanted: np.ndarray) -> None:
    limited, _ = Limiter(CONTRACT).joints(last, wanted, dt_s=0.02)
    before, after = (np.maximum(np.maximum(LOWER - q, q - UPPER), 0.0) for q in (last, limited))
    assert (after <= before + 1e-12).all()


aims = st.lists(
    st.tuples(
        st.lists(numbers, min_size=8, max_size=8),
        st.integers(-SECOND, SECOND),
        st.integers(-PERIOD, 5 * PERIOD),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=40)
@given(aims=aims)
def test_no_command_exceeds_a_limit_whatever_is_aimed_at(aims: list) -> None:
    commander, last, now = Commander(CONTRACT), READY, 0
    commander.start(READY, now)
    for values, ahead, wait in aims:
        commander.aim(Target(Pose(np.array(values[:3]), np.array(values[3:7])), values[7]), now + ahead)
        for _ in range(3):
            now += wait
            commander.observe(last, now)
            command = commander.step(now)
            if command is None:
                continue
            assert np.isfinite(command.joints).all()
            assert (command.joints >= LOWER - 1e-9).all()
            assert (command.joints <= UPPER + 1e-9).all()
            assert (np.abs(command.joints - last) <= FASTEST + 1e-9).all()
            assert 0.0 <= command.target.gripper <= 1.0
            last = command.joints


@given(far=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
@settings(deadline=None, max_examples=30)
def test_first_command_is_near_the_measured_joints_however_far_the_target(far: tuple) -> None:
    commander = Commander(CONTRACT)
    commander.start(READY, 0)
    commander.aim(target(*far), 1)
    command = commander.step(PERIOD)
    assert command is not None
    assert np.abs(command.joints - READY).max() <= ARM.first_target_within_rad


def test_arm_elsewhere_than_the_start_latches_the_stop_at_the_first_command(commander: Commander) -> None:
    commander.observe(READY + 0.14, 1)
    commander.aim(target(0.4, 0.0, 0.3), PERIOD)
    command = commander.step(PERIOD)
    assert commander.stopped is not None
    assert commander.stopped.kind == "first_target"
    assert command is not None
    assert np.allclose(command.joints, READY + 0.14)


def test_target_is_reached_at_its_time(commander: Commander) -> None:
    start = commander.forward(READY)
    goal = start.position + np.array([0.02, -0.03, -0.02])
    commander.aim(Target(Pose(goal, start.quaternion), 0.0), SECOND // 5)
    commands = run(commander, 0, 0.2)
    assert np.abs(commands[-1].target.pose.position - goal).max() < 1e-3
    halfway = commands[4].target.pose.position
    assert np.abs(halfway - (start.position + goal) / 2).max() < 1e-3


def test_far_target_is_approached_at_the_speed_limit(commander: Commander) -> None:
    commander.aim(target(0.5, 0.4, 0.2), 1)
    commands = run(commander, 0, 1.0)
    positions = np.array([command.target.pose.position for command in commands])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    assert steps.max() <= ARM.speed_m_s * PERIOD / SECOND * 1.02
    assert any("speed" in command.clipped for command in commands)
    assert np.abs(run(commander, SECOND, 1.0)[-1].target.pose.position - [0.5, 0.4, 0.2]).max() < 2e-3


def test_target_outside_the_workspace_is_clamped_and_named(commander: Commander) -> None:
    commander.aim(target(0.4, 0.0, -1.0), 1)
    commands = run(commander, 0, 2.0)
    assert commands[-1].clipped == ("workspace",)
    assert commands[-1].target.pose.position[2] == pytest.approx(ARM.workspace_lower_m[2], abs=2e-3)


def test_late_step_moves_no_farther_than_one_period(commander: Commander) -> None:
    commander.aim(target(0.6, 0.4, 0.2), 1)
    commander.observe(READY, SECOND)
    command = commander.step(SECOND)
    assert command is not None
    moved = np.linalg.norm(command.target.pose.position - commander.forward(READY).position)
    assert moved <= ARM.speed_m_s * PERIOD / SECOND * 1.02


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_target_latches_the_stop(commander: Commander, bad: float) -> None:
    commander.aim(target(bad, 0.0, 0.3), PERIOD)
    assert commander.stopped is not None
    assert commander.stopped.kind == "non_finite"
    hold = commander.step(PERIOD)
    assert hold is not None
    assert np.array_equal(hold.joints, READY)
    assert hold.gripper is None
    assert commander.step(2 * PERIOD) is None


def test_only_rearming_clears_the_stop(commander: Commander) -> None:
    commander.stop("asked to")
    commander.aim(target(0.4, 0.0, 0.3), PERIOD)
    with pytest.raises(StoppedError, match=r"asked to.*re-arm"):
        commander.start(READY, PERIOD)
    commander.rearm(READY, PERIOD)
    assert commander.stopped is None
    assert commander.step(2 * PERIOD) is not None


def test_lasting_tracking_error_stops_and_a_short_one_does_not(commander: Commander) -> None:
    off = READY + np.array([0.2, 0, 0, 0, 0, 0, 0])
    commander.observe(off, 0)
    commander.observe(READY, SECOND // 4)
    commander.observe(off, SECOND // 2)
    assert commander.stopped is None
    commander.observe(off, SECOND)
    assert commander.stopped is not None
    assert commander.stopped.kind == "tracking"


def test_stale_joint_positions_hold_and_then_stop(commander: Commander) -> None:
    commander.aim(target(0.6, 0.0, 0.3), SECOND)
    holding = [commander.step(now) for now in range(120_000_000, 480_000_000, PERIOD)]
    assert all(np.array_equal(command.joints, READY) for command in holding if command is not None)
    assert commander.stopped is None
    commander.step(520_000_000)
    assert commander.stopped is not None
    assert commander.stopped.kind == "stale"


def test_nothing_is_commanded_before_the_start_and_after_the_finish(commander: Commander) -> None:
    assert Commander(CONTRACT).step(PERIOD) is None
    commander.finish()
    assert commander.step(PERIOD) is None


def test_clock_that_jumps_back_moves_nothing(commander: Commander) -> None:
    commander.aim(target(0.6, 0.0, 0.3), SECOND)
    command = commander.step(-SECOND)
    assert command is not None
    assert np.array_equal(command.joints, READY)


def test_gripper_goals_come_on_change_only_with_hysteresis_and_rate(commander: Commander) -> None:
    goals = {}
    for i, wish in enumerate([0.5, 0.5, 0.9, 0.5, 0.9, 0.1, 0.5] + [0.1] * 40):
        now = (i + 1) * PERIOD
        commander.aim(target(0.4, 0.0, 0.3, wish), now)
        command = commander.step(now)
        assert command is not None
        commander.observe(command.joints, now)
        if command.gripper is not None:
            goals[now] = command.gripper
    interval = SECOND / CONTRACT.gripper.rate_hz
    assert list(goals.values()) == [CONTRACT.gripper.closed, CONTRACT.gripper.open]
    assert np.diff(list(goals)) >= interval


def test_finishing_holds_at_the_measured_joints_once(commander: Commander) -> None:
    commander.aim(target(0.5, 0.0, 0.3), 1)
    commander.observe(READY + 0.01, 1)
    last = commander.finish()
    assert last is not None
    assert np.array_equal(last.joints, READY + 0.01)
    assert commander.finish() is None
