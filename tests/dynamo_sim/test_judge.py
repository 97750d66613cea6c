"""The judge is not fooled."""

from __future__ import annotations

import numpy as np
import pytest

from dynamo_sim.xarm_kitchen.judge import Judge, Situation
from dynamo_sim.xarm_kitchen.scene import SHELF_FLOOR, SLOT, ZONE

MS = 1_000_000
FAR = np.array([0.3, 0.3, 0.3])
DONE = {
    "put_yogurt": Situation(FAR, np.array([*SLOT, SHELF_FLOOR]), SLOT, 0.0, 0.0, 0.0, touched=False),
    "fetch_yogurt": Situation(ZONE.copy(), FAR, SLOT, 0.0, 0.0, 0.0, touched=False),
}


def judge_of(task: str) -> Judge:
    return Judge(task, time_limit_s=22.0, now_ns=0)


def look(judge: Judge, situation: Situation, start_ms: int, end_ms: int) -> None:
    for now_ms in range(start_ms, end_ms + 1, 10):
        judge.look(situation, now_ms * MS)


@pytest.mark.parametrize("task", DONE)
def test_success_needs_half_a_second(task: str) -> None:
    judge = judge_of(task)
    look(judge, DONE[task], 100, 590)
    assert not judge.outcome().done
    look(judge, DONE[task], 600, 600)
    outcome = judge.outcome()
    assert (outcome.success, outcome.done, outcome.elapsed_s) == (True, True, 0.6)
    assert "the yogurt stands in the" in outcome.reason


@pytest.mark.parametrize("task", DONE)
@pytest.mark.parametrize(
    "fault",
    [
        {"touched": True},
        {"tilt_rad": 0.3},
        {"speed_m_s": 0.05},
        {"turn_rad_s": 0.5},
    ],
)
def test_a_yogurt_that_is_held_tilted_or_moving_is_no_success(task: str, fault: dict[str, float]) -> None:
    judge = judge_of(task)
    look(judge, DONE[task]._replace(**fault), 0, 5000)
    assert not judge.outcome().success


@pytest.mark.parametrize(
    ("task", "elsewhere"),
    [
        ("put_yogurt", {"in_door": np.array([SLOT[0] + 0.08, SLOT[1], SHELF_FLOOR])}),  # beside the gap
        (
            "put_yogurt",
            {"in_door": np.array([SLOT[0], SLOT[1] + 0.07, SHELF_FLOOR])},
        ),  # in front of the shelf
        ("put_yogurt", {"in_door": np.array([*SLOT, SHELF_FLOOR + 0.03])}),  # above its floor
        ("fetch_yogurt", {"position": ZONE + np.array([0.12, 0.0, 0.0])}),
        ("fetch_yogurt", {"position": ZONE + np.array([0.0, 0.0, 0.03])}),
    ],
)
def test_another_place_is_no_success(task: str, elsewhere: dict[str, np.ndarray]) -> None:
    judge = judge_of(task)
    look(judge, DONE[task]._replace(**elsewhere), 0, 5000)
    assert not judge.outcome().success


def test_a_moment_of_motion_starts_the_half_second_anew() -> None:
    judge = judge_of("put_yogurt")
    done = DONE["put_yogurt"]
    look(judge, done, 0, 400)
    look(judge, done._replace(speed_m_s=0.1), 410, 410)
    look(judge, done, 420, 900)
    assert not judge.outcome().done


def test_a_fallen_yogurt_is_a_failure_once_let_go() -> None:
    lying = DONE["put_yogurt"]._replace(tilt_rad=1.5)
    held = judge_of("put_yogurt")
    look(held, lying._replace(touched=True), 0, 2000)
    assert not held.outcome().done
    judge = judge_of("put_yogurt")
    look(judge, lying, 0, 600)
    outcome = judge.outcome()
    assert (outcome.success, outcome.done, outcome.reason) == (False, True, "the yogurt fell over")


def test_a_yogurt_on_the_floor_is_a_failure() -> None:
    judge = judge_of("fetch_yogurt")
    look(judge, DONE["fetch_yogurt"]._replace(position=np.array([0.4, -0.8, -0.1])), 0, 0)
    assert judge.outcome().reason == "the yogurt fell off the counter"


def test_the_time_limit_ends_it_and_the_verdict_stays() -> None:
    judge = judge_of("put_yogurt")
    look(judge, DONE["put_yogurt"]._replace(touched=True), 0, 22_000)
    assert judge.outcome().reason == "time limit of 22 s"
    look(judge, DONE["put_yogurt"], 22_010, 30_000)
    assert not judge.outcome().success
    assert judge.outcome().elapsed_s == 22.0
