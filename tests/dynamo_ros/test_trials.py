"""The plan and the book-keeping of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.trials import TrialLog, TrialResult, choose_tasks, describe, plan_trials

TASKS = ("put", "fetch")


def result(number: int, *, success: bool) -> TrialResult:
    return TrialResult(
        number=number, task=TASKS[number % 2], seed=7 + number, success=success, reason="so", seconds=1.5
    )


def test_tasks_take_turns_and_each_trial_has_a_seed_of_its_own() -> None:
    trials = plan_trials(TASKS, 3, 7)
    assert [trial.task for trial in trials] == ["put", "fetch", "put"]
    assert [trial.seed for trial in trials] == [7, 8, 9]


def test_all_tasks_are_chosen_where_none_is_named() -> None:
    assert choose_tasks([], TASKS) == TASKS
    assert choose_tasks(["fetch"], TASKS) == ("fetch",)
    with pytest.raises(UnknownNameError, match="did you mean 'fetch'"):
        choose_tasks(["fetsh"], TASKS)


def test_results_can_be_read_after_each_trial_in_the_order_of_numbers(tmp_path: Path) -> None:
    log = TrialLog(tmp_path, plan_trials(TASKS, 3, 7), {})
    log.add(result(2, success=True))
    line = log.add(result(0, success=False))
    assert line == "trial 2/3 put seed 7: failure after 1.5 s (so); so far 1/2 = 50%"
    assert [trial["number"] for trial in json.loads((tmp_path / "trials.json").read_text())] == [0, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trials.json"]


def test_summary_has_rates_with_intervals_overall_and_by_task(tmp_path: Path) -> None:
    log = TrialLog(tmp_path, plan_trials(TASKS, 4, 7), {"bundle": "b"})
    for number, success in enumerate([True, False, True, True]):
        log.add(result(number, success=success))
    summary = log.finish()
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["bundle"] == "b"
    assert (summary["successes"], summary["trials"], summary["rate"]) == (3, 4, 0.75)
    assert summary["tasks"]["put"]["successes"] == 2
    assert summary["tasks"]["fetch"]["low"] < 0.5 < summary["tasks"]["fetch"]["high"]
    assert describe(summary).startswith("all 3/4 = 75% [30%, 95%]; put 2/2")
