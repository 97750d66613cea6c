"""The pictures of a report card, as `data:` addresses that a page can hold in itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynamo_policies.probes.card import Card
from dynamo_policies.probes.frames import Frames
from dynamo_policies.report.plots import BLUE, INK, SOFT

VIEW_COLOURS = (INK, "#2563a8", "#c2761b", "#13795b", "#8e44ad", "#b3261e")
TASK_COLOURS = ("#2563a8", "#c2761b", "#13795b", "#8e44ad", "#b3261e", "#0e7c86", "#7a6a00", "#5c6877")
ARROWS = {"lower": "← better", "higher": "better →"}
VIEW_SIZE = 96  # pixels of one view in the gallery
Images = Callable[[int], npt.NDArray[np.uint8]]  # row of a frame -> its views side by side (H, V * W, 3)


def bars(values: Mapping[str, Any], names: Sequence[str], *, columns: int = 4) -> str:
    """Draw a panel for each figure in `names`, a bar with its interval for each encoder."""
    encoders = values["encoders"]
    rows = -(-len(names) // columns)
    height = (0.75 + 0.26 * len(encoders)) * rows
    figure = Figure(figsize=(11.5, height), layout="constrained")
    grid = figure.subplots(rows, min(columns, len(names)), squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(names):
            axes.set_visible(False)
            continue
        _bar_panel(axes, values, names[place])
        axes.set_yticks(
            range(len(encoders)), [one["name"] for one in encoders] if place % columns == 0 else []
        )
    return _address(figure)


def view_bars(values: Mapping[str, Any], names: Sequence[str], cameras: Sequence[str]) -> str:
    """Draw a panel for each figure in `names`, with bars for all views together and for each alone."""
    encoders = values["encoders"]
    views = {"all views": "", **{f"{camera} alone": f"@{camera}" for camera in cameras}}
    thick = 0.8 / len(views)
    figure = Figure(figsize=(11.5, 1.1 + 0.2 * len(views) * len(encoders)), layout="constrained")
    grid = figure.subplots(1, len(names), squeeze=False)[0]
    for column, (axes, name) in enumerate(zip(grid, names, strict=True)):
        for number, (label, suffix) in enumerate(views.items()):
            places = [i + (number - (len(views) - 1) / 2) * thick for i in range(len(encoders))]
            found = [(one["figures"].get(name + suffix) or {}).get("value") for one in encoders]
            widths = [np.nan if value is None else value for value in found]
            axes.barh(places, widths, height=0.9 * thick, color=VIEW_COLOURS[number], label=label)
        axes.set_yticks(range(len(encoders)), [one["name"] for one in encoders] if column == 0 else [])
        _dress(axes, values, name)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(views), frameon=False, fontsize=9)
    return _address(figure)


def maps(cards: Sequence[Card], frames: Frames) -> str:
    """Draw the embeddings of each encoder in their plane, coloured by time and by task."""
    across = 2
    rows = -(-len(cards) // across)
    figure = Figure(figsize=(11.5, 2.9 * rows), layout="constrained")
    parts = figure.subfigures(rows, across, squeeze=False)
    tasks = list(dict.fromkeys(frames.tasks))
    for part, card in zip(parts.flat, cards, strict=False):
        part.suptitle(f"{card.subject.name} ({card.map.share:.0%} of the variance)", fontsize=10)
        by_time, by_task = part.subplots(1, 2)
        x, y = card.map.places.T
        dots = by_time.scatter(x, y, c=frames.elapsed[card.map.rows], cmap="viridis", s=3, linewidths=0)
        part.colorbar(dots, ax=by_time, label="start to end", ticks=[])
        numbers = np.array([tasks.index(frames.tasks[i]) for i in frames.episode[card.map.rows]])
        for number, task in enumerate(tasks):
            chosen = numbers == number
            colour = TASK_COLOURS[number % len(TASK_COLOURS)]
            by_task.scatter(x[chosen], y[chosen], color=colour, s=3, linewidths=0, label=task)
        by_task.legend(fontsize=7, markerscale=4, frameon=False, loc="best")
        for axes in (by_time, by_task):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_color("#dfe4ea")
    return _address(figure)


def gallery(card: Card, frames: Frames, images: Images) -> str:
    """Draw each query of `card` and beside it the nearest frames of other episodes."""
    columns = 1 + max(len(one.rows) for one in card.neighbours)
    shape = images(card.neighbours[0].query).shape
    width, height = 2.25, 2.25 * shape[0] / shape[1] + 0.32
    figure = Figure(figsize=(width * columns, height * len(card.neighbours)), layout="constrained")
    grid = figure.subplots(len(card.neighbours), columns, squeeze=False)
    figure.suptitle(card.subject.name, fontsize=11)
    for axes_row, found in zip(grid, card.neighbours, strict=True):
        for axes in axes_row:
            axes.axis("off")
        axes_row[0].imshow(images(found.query))
        axes_row[0].set_title(f"query: {_where(frames, found.query)}", fontsize=7.5, color=BLUE, pad=2)
        for axes, row in zip(axes_row[1:], found.rows, strict=False):
            axes.imshow(images(row))
            axes.set_title(f"{_where(frames, row)}, {_apart(frames, found.query, row)}", fontsize=7.5, pad=2)
    return _address(figure, "jpg")


def side_by_side(views: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Return `views`, each (H, W, 3), as one picture."""
    small = [cv2.resize(one, (VIEW_SIZE, VIEW_SIZE), interpolation=cv2.INTER_AREA) for one in views]
    return np.concatenate(small, axis=1)


def _bar_panel(axes: Axes, values: Mapping[str, Any], name: str) -> None:
    for row, encoder in enumerate(values["encoders"]):
        found = encoder["figures"].get(name)
        if found is None or found["value"] is None:
            axes.annotate("none", (0.02, row), xycoords=("axes fraction", "data"), va="center", color=SOFT)
            continue
        axes.barh(row, found["value"], color=SOFT if encoder["reference"] else BLUE, height=0.66)
        if found["low"] is not None:
            axes.plot([found["low"], found["high"]], [row, row], color=INK, linewidth=1.6)
    _dress(axes, values, name)


def _dress(axes: Axes, values: Mapping[str, Any], name: str) -> None:
    about = values["figures"][name]
    unit = f" ({about['unit']})" if about["unit"] else ""
    axes.set_title(f"{name}{unit}", fontsize=9.5, loc="left")
    lower, alarm = about["better"] == "lower", about["role"] == "alarm"
    note = "an alarm only" if alarm else ARROWS[about["better"]]
    axes.set_xlabel(note, fontsize=8, color=SOFT, loc="left" if lower else "right")
    axes.tick_params(labelsize=8.5, length=0)
    axes.set_ylim(len(values["encoders"]) - 0.4, -0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _where(frames: Frames, row: int) -> str:
    seconds = frames.tick[row] / frames.contract.policy_rate_hz
    return f"{frames.names[frames.episode[row]]} {seconds:.1f} s"


def _apart(frames: Frames, query: int, row: int) -> str:
    """Return how far the tool is from where it is in the query."""
    tool = frames.state.rows[:, frames.state.groups["tool"]]
    return f"{np.linalg.norm(tool[query] - tool[row]):.0f} mm off"


def _address(figure: Figure, kind: str = "png") -> str:
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=110, pil_kwargs={"quality": 85} if kind == "jpg" else {})
    mime = {"png": "image/png", "jpg": "image/jpeg"}[kind]
    return f"data:{mime};base64,{base64.b64encode(content.getvalue()).decode()}"
