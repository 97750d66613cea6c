"""The picture of `dynamo latency`, a PNG file made with matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from dynamo_policies.bag_latency import AGE, Latency
from dynamo_policies.report.plots import AMBER, BLUE, SOFT

BINS = 60
LEAST_MS = 1e-3


def latency_plot(latency: Latency, path: Path) -> None:
    """Draw each way over time (left) and its histogram (right), ms on logarithmic axes."""
    rows = len(latency.series)
    figure = Figure(figsize=(11, 1.5 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False, width_ratios=[3, 1])
    for (over_time, histogram), (name, one) in zip(grid, latency.series.items(), strict=True):
        ms = np.maximum(one.ms, LEAST_MS)
        over_time.plot(one.seconds, ms, ".", color=BLUE, markersize=2)
        over_time.set(yscale="log", ylabel="ms", ylim=(ms.min() / 1.5, ms.max() * 1.5))
        over_time.set_title(name, loc="left", fontsize=9)
        edges = np.geomspace(ms.min() / 1.5, ms.max() * 1.5, BINS)
        histogram.hist(ms, bins=edges.tolist(), color=SOFT)
        histogram.set(xscale="log", yticks=[])
        for axis in (over_time.yaxis, histogram.xaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=4))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        p50, p99 = np.percentile(ms, [50, 99])
        histogram.set_title(f"p50 {p50:.2f}, p99 {p99:.2f} ms", fontsize=9)
        if name == AGE:
            over_time.axhline(latency.budget_ms, color=AMBER, linewidth=1)
        for axes in (over_time, histogram):
            axes.spines[["top", "right"]].set_visible(False)
    grid[-1][0].set_xlabel("s")
    figure.savefig(path, dpi=110)
