"""The part of a report that shows an evaluation: its rate, its trials, its videos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynamo_policies.errors import DynamoError
from dynamo_policies.report.page import Media, Page, Section, Table, Tile, write_page
from dynamo_policies.report.plots import success_plot
from dynamo_policies.video import video_of_bag

TRIALS_FILE, SUMMARY_FILE, VIDEOS = "trials.json", "summary.json", "videos"


class ReportError(DynamoError):
    """What a report is to show is not there."""


@dataclass(frozen=True)
class Evaluation:
    """The results in one evaluation's folder."""

    folder: Path
    summary: dict[str, Any]
    trials: list[dict[str, Any]]

    @property
    def counts(self) -> tuple[int, int]:
        """Successes and trials."""
        return int(self.summary["successes"]), int(self.summary["trials"])


def read_evaluation(folder: Path) -> Evaluation:
    """Return what the evaluation in `folder` found; ReportError if it is not complete."""
    for name in (TRIALS_FILE, SUMMARY_FILE):
        if not (folder / name).is_file():
            found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else "no such folder"
            raise ReportError(f"no {name} in {folder}, so no finished evaluation (there is: {found})")
    summary, trials = (json.loads((folder / name).read_text()) for name in (SUMMARY_FILE, TRIALS_FILE))
    return Evaluation(folder, summary, trials)


def report_evaluation(folder: Path) -> Path:
    """Write `report.html` into the evaluation's `folder` and return its path."""
    evaluation, page = read_evaluation(folder), folder.resolve() / "report.html"
    success_plot(
        {name: (row["successes"], row["trials"]) for name, row in _rows(evaluation)}, folder / "success.png"
    )
    sections = (
        Section("Success", wide=(Media("success.png", "Success rates with their 95 % intervals"),)),
        trials_section(evaluation, "The trials", page=page),
        Section("Every trial", table=trials_table(evaluation)),
    )
    tiles = (rate_tile(evaluation, "trials succeeded"),)
    write_page(Page("Evaluation", str(evaluation.summary.get("bundle", "")), tiles, sections), page)
    return page


def _rows(evaluation: Evaluation) -> list[tuple[str, dict[str, Any]]]:
    return [("all", evaluation.summary), *evaluation.summary["tasks"].items()]


def rate_tile(evaluation: Evaluation, label: str) -> Tile:
    """Return the success rate as a big number."""
    summary = evaluation.summary
    successes, trials = evaluation.counts
    interval = f"95 % interval {summary['low']:.0%} to {summary['high']:.0%}"
    return Tile(f"{successes}/{trials}", f"{label}, {interval}", "good" if summary["rate"] >= 0.5 else "poor")


def trials_section(evaluation: Evaluation, title: str, *, page: Path) -> Section:
    """Return a gallery of all trials that have a video, made from their bags where there is none yet."""
    root = page.parent
    media = tuple(
        Media(str(video.relative_to(root)), _caption(trial), "good" if trial["success"] else "poor")
        for trial in evaluation.trials
        if (video := _video(evaluation, trial)) is not None
    )
    return Section(title, text="One video a trial, at the speed it happened.", gallery=media)


def trials_table(evaluation: Evaluation) -> Table:
    """Return one row for each trial."""
    rows = tuple(
        (
            str(trial["number"] + 1),
            trial["task"],
            str(trial["seed"]),
            "success" if trial["success"] else "failure",
            trial["reason"],
            f"{trial['seconds']:.1f}",
            _count(trial["dropped"]),
            _count(trial["stale"]),
        )
        for trial in evaluation.trials
    )
    return Table(("trial", "task", "seed", "outcome", "why", "seconds", "dropped", "stale ticks"), rows)


def _video(evaluation: Evaluation, trial: dict[str, Any]) -> Path | None:
    if trial["video"] is not None:
        return (evaluation.folder / str(trial["video"])).resolve()
    if trial["bag"] is None:
        return None
    video = (evaluation.folder / VIDEOS / f"trial_{trial['number']:03d}.mp4").resolve()
    if not video.exists():
        video.parent.mkdir(exist_ok=True)
        if video_of_bag(evaluation.folder / str(trial["bag"]), video) == 0:
            return None
    return video


def _caption(trial: dict[str, Any]) -> str:
    outcome = "success" if trial["success"] else f"failure: {trial['reason']}"
    return f"{trial['task']}, seed {trial['seed']}: {outcome}, {trial['seconds']:.1f} s"


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)
