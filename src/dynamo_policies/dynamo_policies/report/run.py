"""The report of a whole run: recorded, learnt, evaluated, and how long each stage took."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import fisher_exact
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dynamo_policies.bags import BagInfo, find_bags, read_info
from dynamo_policies.cache import FrameCache
from dynamo_policies.decode import FrameSettings
from dynamo_policies.report.evaluation import (
    Evaluation,
    rate_tile,
    read_evaluation,
    trials_section,
    trials_table,
)
from dynamo_policies.report.page import Media, Page, Section, Table, Tile, write_page
from dynamo_policies.report.plots import contact_sheet, curves_plot, success_plot

CURVES = ("loss", "embedding_std", "effective_rank")
SHEET_COLUMNS = 12
PACKAGES = ("rclpy", "torch", "mujoco", "mink", "rosbags", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what it makes."""

    root: Path

    @property
    def bags(self) -> Path:
        """Demonstrations."""
        return self.root / "bags"

    @property
    def cache(self) -> Path:
        """Decoded frames; may be deleted at any time."""
        return self.root / "cache"

    @property
    def encoder(self) -> Path:
        """The pretraining run."""
        return self.root / "encoder"

    @property
    def bundle(self) -> Path:
        """The policy on the pretrained encoder."""
        return self.root / "bundle"

    @property
    def random_bundle(self) -> Path:
        """The same policy on a random encoder."""
        return self.root / "bundle_random"

    @property
    def rollouts(self) -> Path:
        """Trials over ROS."""
        return self.root / "rollouts"

    @property
    def quick_rollouts(self) -> Path:
        """The same trials in one process."""
        return self.root / "rollouts_in_process"

    @property
    def random_rollouts(self) -> Path:
        """The same trials in one process with the random encoder."""
        return self.root / "rollouts_random"

    @property
    def logs(self) -> Path:
        """What the stages printed."""
        return self.root / "logs"

    @property
    def report(self) -> Path:
        """The page."""
        return self.root / "report.html"

    @property
    def summary(self) -> Path:
        """The figures."""
        return self.root / "summary.json"


def report_run(folder: RunFolder, *, seconds: Mapping[str, float], commands: Sequence[str]) -> dict[str, Any]:
    """Write `report.html` and `summary.json` of the run in `folder` and return the summary.

    `seconds` says how long each stage took and `commands` how to do the stages by hand.

    Raises:
        DynamoError: a part of the run is missing or damaged.
    """
    infos = [read_info(path) for path in find_bags(folder.bags)]
    evaluations = {
        "DynaMo encoder, over ROS": read_evaluation(folder.rollouts),
        "DynaMo encoder, in one process": read_evaluation(folder.quick_rollouts),
        "random encoder, in one process": read_evaluation(folder.random_rollouts),
    }
    metrics = json.loads((folder.encoder / "metrics.json").read_text())
    manifest = json.loads((folder.bundle / "manifest.json").read_text())
    summary = _summary(infos, metrics, manifest, evaluations, seconds)
    figures = folder.root / "figures"
    figures.mkdir(exist_ok=True)
    page = _page(folder, figures, infos, evaluations, summary, commands)
    write_page(page, folder.report)
    folder.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _summary(
    infos: Sequence[BagInfo],
    metrics: Mapping[str, float],
    manifest: Mapping[str, Any],
    evaluations: Mapping[str, Evaluation],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    over_ros, in_process, at_random = evaluations.values()
    successes, trials = over_ros.counts
    low, high = over_ros.summary["low"], over_ros.summary["high"]
    rate = f"{successes} of {trials} rollouts over ROS succeeded (95 % interval {low:.0%} to {high:.0%})"
    return {
        "headline": f"{rate}; random encoder: {at_random.counts[0]} of {at_random.counts[1]} in one process",
        "episodes": len(infos),
        "frames": sum(_images(info) for info in infos),
        "dropped_messages": sum(sum(info.dropped.values()) for info in infos),
        "recorded_seconds": round(sum(info.seconds for info in infos), 1),
        "pretraining": dict(metrics),
        "policy": {"kind": manifest["policy"]["policy"], "metrics": manifest["metrics"]},
        "trials": trials,
        "successes": successes,
        "interval": [low, high],
        "tasks": over_ros.summary["tasks"],
        "comparison": {name: one.summary for name, one in evaluations.items()},
        "random_versus_dynamo_p": _fisher(in_process.counts, at_random.counts),
        "seconds": dict(seconds),
        "total_seconds": round(sum(seconds.values()), 1),
        "versions": _versions(),
        "machine": f"{platform.machine()}, {platform.system()}, {_cores()} cores",
    }


def _page(
    folder: RunFolder,
    figures: Path,
    infos: Sequence[BagInfo],
    evaluations: Mapping[str, Evaluation],
    summary: Mapping[str, Any],
    commands: Sequence[str],
) -> Page:
    over_ros = next(iter(evaluations.values()))
    success_plot({name: one.counts for name, one in evaluations.items()}, figures / "success.png")
    curves_plot(read_curves(folder.encoder), figures / "pretraining.png")
    contact_sheet(_start_frames(folder, infos), figures / "starts.png", columns=SHEET_COLUMNS)
    sections = (
        _comparison(figures, summary),
        trials_section(over_ros, "The rollouts over ROS", page=folder.report),
        Section("Every trial", table=trials_table(over_ros)),
        _recorded(figures, infos),
        _learnt(figures, summary["pretraining"]),
        Section(
            "How long it took", table=_pairs("stage", "seconds", summary["seconds"]), commands=tuple(commands)
        ),
        Section("Made with", table=_pairs("package", "version", summary["versions"])),
    )
    tiles = _tiles(over_ros, summary)
    return Page("From demonstrations to an evaluated policy", summary["headline"], tiles, sections)


def _tiles(over_ros: Evaluation, summary: Mapping[str, Any]) -> tuple[Tile, ...]:
    return (
        rate_tile(over_ros, "rollouts over ROS succeeded"),
        Tile(str(summary["episodes"]), f"episodes, {summary['frames']} camera frames"),
        Tile(str(summary["dropped_messages"]), "messages dropped while recording"),
        Tile(f"{summary['total_seconds'] / 60:.1f} min", "from the first stage to the last"),
    )


def _comparison(figures: Path, summary: Mapping[str, Any]) -> Section:
    p_value = summary["random_versus_dynamo_p"]
    text = (
        "Every row has the same starts and the same kind of policy; only the frozen encoder, or the way the "
        f"policy was run, differs. DynaMo against random in one process: p = {p_value:.2g} (Fisher's test)."
    )
    picture = _figure(figures / "success.png", "Success rates with their intervals")
    return Section("Did it work?", text=text, wide=(picture,))


def _recorded(figures: Path, infos: Sequence[BagInfo]) -> Section:
    text = f"The first frame of each of the {len(infos)} episodes, seen by the first camera."
    picture = _figure(figures / "starts.png", "Starts of the demonstrations")
    return Section("What was demonstrated", text=text, wide=(picture,))


def _learnt(figures: Path, metrics: Mapping[str, float]) -> Section:
    text = (
        f"Loss {metrics['loss_first']:.3f} to {metrics['loss_last']:.3f} in {metrics['steps']:.0f} steps. "
        "Standard deviation and effective rank warn of collapse; they do not predict success."
    )
    picture = _figure(figures / "pretraining.png", "Loss, deviation and effective rank of the embeddings")
    return Section("How the encoder learnt", text=text, wide=(picture,))


def read_curves(run: Path) -> dict[str, list[tuple[float, float]]]:
    """Return (step, value) of the curves that pretraining logged for TensorBoard."""
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    logged = events.Tags()["scalars"]
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in CURVES if name in logged}


def _start_frames(folder: RunFolder, infos: Sequence[BagInfo]) -> list[npt.NDArray[np.uint8]]:
    cache = FrameCache(folder.cache)
    episodes = [cache.episode(info.path, FrameSettings()) for info in infos]
    return [next(iter(episode.images.values()))[0] for episode in episodes]


def _images(info: BagInfo) -> int:
    return sum(info.counts.get(camera.topic, 0) for camera in info.contract.cameras.values())


def _figure(path: Path, caption: str) -> Media:
    return Media(f"{path.parent.name}/{path.name}", caption)


def _pairs(left: str, right: str, values: Mapping[str, Any]) -> Table:
    return Table((left, right), tuple((name, str(value)) for name, value in values.items()))


def _fisher(ours: tuple[int, int], other: tuple[int, int]) -> float:
    table = [[successes, trials - successes] for successes, trials in (ours, other)]
    return float(fisher_exact(table).pvalue)


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0))
