"""The rules of JointTrajectoryController and of the xArm gripper's driver."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dynamo_sim.controllers import (
    GripperController,
    JointTrajectoryController,
    RejectedError,
    position_of,
    pulse_of,
)

JOINTS = ("a", "b")
SECOND = 1_000_000_000
MS = 1_000_000


@pytest.fixture
def controller() -> JointTrajectoryController:
    controller = JointTrajectoryController(JOINTS)
    controller.reset([1.0, -1.0])
    return controller


def move(controller: JointTrajectoryController, *, names: tuple[str, ...] = JOINTS, now_ns: int = 0) -> None:
    controller.accept(names, [[2.0, 0.0], [4.0, 0.0]], [1.0, 2.0], now_ns=now_ns, measured=[1.0, -1.0])


def test_without_a_trajectory_it_holds(controller: JointTrajectoryController) -> None:
    assert controller.desired(5 * SECOND).tolist() == [1.0, -1.0]


def test_points_of_positions_are_joined_by_lines_and_the_end_is_held(
    controller: JointTrajectoryController,
) -> None:
    move(controller)
    desired = [controller.desired(int(t * SECOND)).tolist() for t in (0.0, 0.5, 1.0, 1.5, 2.0, 9.0)]
    assert desired == [[1.0, -1.0], [1.5, -0.5], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0], [4.0, 0.0]]


def test_joints_may_come_in_any_order(controller: JointTrajectoryController) -> None:
    move(controller, names=("b", "a"))
    assert controller.desired(2 * SECOND).tolist() == [0.0, 4.0]


def test_a_new_trajectory_replaces_the_old_one_from_the_desired_state(
    controller: JointTrajectoryController,
) -> None:
    move(controller)
    controller.accept(JOINTS, [[0.0, 0.0]], [1.0], now_ns=SECOND, measured=[1.9, -0.1])
    assert controller.desired(SECOND).tolist() == [2.0, 0.0]
    assert controller.desired(2 * SECOND).tolist() == [0.0, 0.0]
    assert controller.desired(3 * SECOND).tolist() == [0.0, 0.0]


def test_as_the_driver_ships_it_a_trajectory_starts_from_the_measured_state() -> None:
    controller = JointTrajectoryController(JOINTS, interpolate_from_desired_state=False)
    move(controller)
    controller.accept(JOINTS, [[0.0, 0.0]], [1.0], now_ns=SECOND, measured=[1.9, -0.1])
    assert controller.desired(SECOND).tolist() == [1.9, -0.1]


def test_a_stream_of_steps_lags_only_when_entered_from_the_measured_state() -> None:
    lags = []
    for from_desired in (True, False):
        controller = JointTrajectoryController(("a",), interpolate_from_desired_state=from_desired)
        controller.reset([0.0])
        measured = 0.0
        for k in range(100):  # 50 Hz; an arm that comes half as near in each period
            now_ns = k * 20 * MS
            controller.accept(("a",), [[0.01 * (k + 1)]], [0.02], now_ns=now_ns, measured=[measured])
            measured += 0.5 * (float(controller.desired(now_ns + 10 * MS)[0]) - measured)
        lags.append(1.0 - measured)
    assert lags[1] > 1.4 * lags[0]


def test_a_trajectory_may_start_later(controller: JointTrajectoryController) -> None:
    controller.accept(JOINTS, [[3.0, -1.0]], [1.0], now_ns=0, start_ns=SECOND, measured=[1.0, -1.0])
    assert controller.desired(SECOND).tolist() == [2.0, -1.0]
    assert controller.desired(2 * SECOND).tolist() == [3.0, -1.0]


def test_points_that_are_past_are_left_out(controller: JointTrajectoryController) -> None:
    controller.accept(
        JOINTS, [[9.0, 9.0], [2.0, 0.0]], [1.0, 3.0], now_ns=2 * SECOND, start_ns=0, measured=[1.0, -1.0]
    )
    assert controller.desired(2 * SECOND + SECOND // 2).tolist() == [1.5, -0.5]


@pytest.mark.parametrize(
    ("names", "positions", "times", "text"),
    [
        (("a",), [[0.0]], [1.0], r"joint names ['a'] given; each of ['a', 'b'] is needed once"),
        (("a", "b", "c"), [[0.0, 0.0, 0.0]], [1.0], "each of ['a', 'b'] is needed once"),
        (("a", "a"), [[0.0, 0.0]], [1.0], "is needed once, in any order"),
        (JOINTS, [], [], "no points; at least one is needed"),
        (JOINTS, [[0.0, 0.0]], [1.0, 2.0], "(1, 2) positions at 2 times; (2, 2) are needed"),
        (JOINTS, [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0], "not strictly increasing"),
        (JOINTS, [[0.0, 0.0]], [-1.0], "not strictly increasing from 0 on"),
        (JOINTS, [[0.0, float("nan")]], [1.0], "not finite"),
    ],
)
def test_a_malformed_trajectory_is_rejected_and_the_old_one_goes_on(
    controller: JointTrajectoryController,
    names: tuple[str, ...],
    positions: list[list[float]],
    times: list[float],
    text: str,
) -> None:
    move(controller)
    with pytest.raises(RejectedError, match=re.escape(text)):
        controller.accept(names, positions, times, now_ns=SECOND, measured=[0.0, 0.0])
    assert controller.desired(2 * SECOND).tolist() == [4.0, 0.0]


def test_a_trajectory_that_is_over_is_rejected(controller: JointTrajectoryController) -> None:
    with pytest.raises(RejectedError, match=r"ended 1\.000 s ago"):
        controller.accept(JOINTS, [[0.0, 0.0]], [1.0], now_ns=2 * SECOND, start_ns=0, measured=[0.0, 0.0])


def test_a_last_point_that_moves_is_rejected_but_an_inner_one_may(
    controller: JointTrajectoryController,
) -> None:
    points, times = [[0.0, 0.0], [1.0, 1.0]], [1.0, 2.0]
    with pytest.raises(RejectedError, match=r"velocities \[0.0, 0.5\]; they must be 0 or absent"):
        controller.accept(
            JOINTS, points, times, now_ns=0, measured=[0.0, 0.0], velocities=[[0.0, 0.0], [0.0, 0.5]]
        )
    controller.accept(
        JOINTS, points, times, now_ns=0, measured=[0.0, 0.0], velocities=[[0.3, 0.3], [0.0, 0.0]]
    )
    assert controller.desired(3 * SECOND).tolist() == [1.0, 1.0]


def run(gripper: GripperController, start_ns: int, end_ns: int) -> list[tuple[int, float]]:
    """Let ideal fingers follow; return the reports as (time in ms, position)."""
    reports = []
    for now_ns in range(start_ns, end_ns, 2 * MS):
        position = gripper.desired(now_ns)
        if (reading := gripper.report(position, now_ns)) is not None:
            reports.append((now_ns // MS, round(reading, 3)))
    return reports


def test_pulses_are_inverted() -> None:
    assert (pulse_of(0.0), pulse_of(0.85), pulse_of(0.25)) == (850.0, 0.0, 600.0)
    assert position_of(pulse_of(0.3)) == pytest.approx(0.3)


def test_before_the_first_goal_the_startup_reading_repeats_at_2_hz() -> None:
    gripper = GripperController()
    gripper.reset(0.2, now_ns=0)
    assert run(gripper, 0, 2 * SECOND) == [(0, 0.2), (500, 0.2), (1000, 0.2), (1500, 0.2)]


def test_an_action_reports_at_10_hz_until_a_second_without_motion_and_then_falls_silent() -> None:
    gripper = GripperController()
    run(gripper, 0, SECOND)
    gripper.goal(0.85, now_ns=SECOND)
    assert gripper.active
    reports = run(gripper, SECOND, 5 * SECOND)
    times = [time for time, _ in reports]
    assert set(np.diff(times)) == {100}
    assert reports[0] == (1000, pytest.approx(0.0, abs=0.005))
    moving = [time for time, position in reports if position < 0.85]
    assert 700 <= moving[-1] - 1000 <= 900  # the stroke takes 0.85 s
    assert 900 <= times[-1] - moving[-1] <= 1200
    assert not gripper.active


def test_holding_something_ends_the_action_as_well() -> None:
    gripper = GripperController()
    gripper.goal(0.85, now_ns=0)
    for now_ns in range(0, 3 * SECOND, 2 * MS):
        gripper.report(min(gripper.desired(now_ns), 0.25), now_ns)
    assert not gripper.active


def test_the_newest_goal_wins() -> None:
    gripper = GripperController()
    gripper.goal(0.85, now_ns=0)
    run(gripper, 0, SECOND // 2)
    gripper.goal(0.0, now_ns=SECOND // 2)
    assert run(gripper, SECOND // 2, 4 * SECOND)[-1][1] == 0.0


@pytest.mark.parametrize("position", [-0.1, 0.9, float("nan")])
def test_a_goal_beyond_the_stroke_is_rejected(position: float) -> None:
    with pytest.raises(RejectedError, match=r"possible is 0 \(open\) to 0.85"):
        GripperController().goal(position, now_ns=0)
