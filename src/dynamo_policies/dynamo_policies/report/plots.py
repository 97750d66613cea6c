"""The report's pictures, PNG files made with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from dynamo_policies.statistics import wilson

INK, SOFT, BLUE, AMBER = "#1c2430", "#8b97a6", "#2563a8", "#c2761b"


def success_plot(rows: Mapping[str, tuple[int, int]], path: Path) -> None:
    """Draw success rates with 95 % Wilson intervals; `rows` maps a label to (successes, trials)."""
    figure = Figure(figsize=(8, 0.7 + 0.45 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for i, (label, (successes, trials)) in enumerate(rows.items()):
        low, high = wilson(successes, trials)
        axes.plot([low, high], [i, i], color=SOFT, linewidth=6, solid_capstyle="round")
        axes.plot(successes / trials, i, "o", color=BLUE, markersize=9)
        axes.annotate(f"{successes}/{trials}", (1.02, i), va="center", annotation_clip=False)
        axes.annotate(label, (-0.02, i), va="center", ha="right", annotation_clip=False)
    axes.set(
        xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), yticks=[], xlabel="success rate, 95 % Wilson interval"
    )
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=110)


def curves_plot(curves: Mapping[str, Sequence[tuple[float, float]]], path: Path) -> None:
    """Draw one small panel for each named series of (step, value)."""
    figure = Figure(figsize=(3.4 * max(1, len(curves)), 2.6), layout="constrained")
    for i, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(1, len(curves), i + 1)
        steps, values = np.asarray(points, dtype=float).reshape(-1, 2).T
        axes.plot(steps, values, color=BLUE, linewidth=1.5)
        axes.set(title=name, xlabel="step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110)


def contact_sheet(
    images: Sequence[npt.NDArray[np.uint8]], path: Path, *, columns: int = 12, size: int = 96
) -> None:
    """Tile `images`, each (H, W, 3) uint8 RGB, into one picture, row by row."""
    rows = -(-len(images) // columns)
    sheet = np.full((rows * size, min(columns, len(images)) * size, 3), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * size, i % columns * size
        sheet[y : y + size, x : x + size] = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), sheet[..., ::-1])
