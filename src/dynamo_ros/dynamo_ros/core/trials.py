"""The trials of an evaluation: which there are, what came of them, and what that says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.statistics import wilson

TRIALS_FILE, SUMMARY_FILE = "trials.json", "summary.json"


class Trial(NamedTuple):
    """One start that a policy is put into."""

    number: int
    task: str
    seed: int


def choose_tasks(wanted: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the wanted tasks, all known ones where none is named; UnknownNameError if one is not known."""
    for task in wanted:
        if task not in known:
            raise UnknownNameError("task", task, known)
    return tuple(wanted or known)


def plan_trials(tasks: Sequence[str], count: int, seed: int) -> list[Trial]:
    """Return `count` trials: the tasks in turn, each with a seed of its own, from `seed` on."""
    return [Trial(i, tasks[i % len(tasks)], seed + i) for i in range(count)]


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What came of a trial; paths are relative to the folder of the evaluation."""

    number: int
    task: str
    seed: int
    success: bool
    reason: str
    seconds: float  # of the station's time
    bag: str | None = None
    dropped: int | None = None  # messages that the recorder missed
    video: str | None = None
    skipped: int | None = None  # ticks passed over because inference was busy
    stale: int | None = None  # ticks with a stale stream


class TrialLog:
    """Keeps the results of an evaluation in its folder, readable at any moment."""

    def __init__(self, folder: Path, trials: Collection[Trial], about: Mapping[str, Any]) -> None:
        self._folder, self._count, self._about = folder, len(trials), dict(about)
        self._results: list[TrialResult] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._write(TRIALS_FILE, [])

    def add(self, result: TrialResult) -> str:
        """Take `result` in, in any order of numbers; return a line that tells it and the rate so far."""
        self._results = sorted([*self._results, result], key=lambda one: one.number)
        self._write(TRIALS_FILE, [dataclasses.asdict(one) for one in self._results])
        done, successes = len(self._results), sum(one.success for one in self._results)
        verdict = "success" if result.success else "failure"
        trial = f"trial {done}/{self._count} {result.task} seed {result.seed}"
        told = f"{verdict} after {result.seconds:.1f} s ({result.reason})"
        return f"{trial}: {told}; so far {successes}/{done} = {successes / done:.0%}"

    def finish(self) -> dict[str, Any]:
        """Write and return the summary: successes, rate and 95 % interval of all trials and of each task."""
        tasks = dict.fromkeys(result.task for result in self._results)
        of_tasks = {task: _rate([one for one in self._results if one.task == task]) for task in tasks}
        summary = {**self._about, **_rate(self._results), "tasks": of_tasks}
        self._write(SUMMARY_FILE, summary)
        return summary

    def _write(self, name: str, values: Any) -> None:
        # A reader must never see half a file.
        half = self._folder / f".{name}.half"
        half.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        half.replace(self._folder / name)


def describe(summary: Mapping[str, Any]) -> str:
    """Return a line that tells the result of an evaluation."""
    rows = {"all": summary, **summary["tasks"]}
    return "; ".join(
        f"{name} {row['successes']}/{row['trials']} = {row['rate']:.0%} [{row['low']:.0%}, {row['high']:.0%}]"
        for name, row in rows.items()
    )


def _rate(results: Sequence[TrialResult]) -> dict[str, Any]:
    successes, trials = sum(one.success for one in results), len(results)
    low, high = wilson(successes, trials)
    rate = successes / trials if trials else 0.0
    return {"trials": trials, "successes": successes, "rate": rate, "low": low, "high": high}
