"""The picture of `dynamo replay`: how far a policy is from what was commanded in a bag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynamo_policies.observation import FloatArray
from dynamo_policies.report.plots import AMBER, BLUE, SOFT
from dynamo_ros.bag_replay import BagReplay
from dynamo_ros.core.divergence import Divergence


def divergence_plot(found: BagReplay, apart: Divergence, path: Path) -> None:
    """Draw the differences of position (mm), rotation and hand (degrees), and both grippers, over time.

    Hand and grippers are drawn where the robot has them.
    """
    start_ns = int(found.replayed.stamps_ns[0])
    drawn = [("position", apart.metres * 1e3, "mm"), ("rotation", np.degrees(apart.radians), "degrees")]
    if found.replayed.hand.shape[1]:
        drawn.append(("hand's farthest joint", np.degrees(apart.hand), "degrees"))
    grips = bool(np.isfinite(found.replayed.gripper).any())
    heights = [2] * len(drawn) + [1] * grips
    figure = Figure(figsize=(10, 0.5 + 1.2 * sum(heights)), layout="constrained")
    rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    seconds = (apart.stamps_ns - start_ns) / 1e9
    for axes, (what, values, unit) in zip(rows, drawn, strict=False):
        _differences(axes, seconds, values, what, unit)
    if grips:
        _grippers(rows[-1], found, start_ns)
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
        for one in found.replayed.beginnings:
            if one.stop is not None:
                axes.axvline((one.stop.at_ns - start_ns) / 1e9, color=AMBER, linewidth=1)
    if any(one.stop is not None for one in found.replayed.beginnings):
        rows[0].plot([], [], color=AMBER, label="stopped, begun anew")
        rows[0].legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.97))
    rows[-1].set_xlabel("s since the first command")
    figure.savefig(path, dpi=110)


def _differences(axes: Axes, seconds: FloatArray, values: FloatArray, what: str, unit: str) -> None:
    told = ~np.isnan(values)
    axes.plot(seconds[told], values[told], color=BLUE, linewidth=1.2)
    title = f"{what}: replayed policy from what was commanded"
    if told.any():
        median, most = np.percentile(values[told], [50, 95])
        title += f"; median {median:.1f}, 95 % below {most:.1f} {unit}"
    axes.set_title(title, loc="left", fontsize=9)
    axes.set(ylabel=unit, ylim=(0, None))


def _grippers(axes: Axes, found: BagReplay, start_ns: int) -> None:
    axes.set_title("gripper, 0 open to 1 closed", loc="left", fontsize=9)
    for targets, colour, width, label in (
        (found.commanded, SOFT, 3.0, "commanded in the bag"),
        (found.replayed, BLUE, 1.2, "replayed policy"),
    ):
        seconds = (targets.stamps_ns - start_ns) / 1e9
        axes.step(seconds, targets.gripper, where="post", color=colour, linewidth=width, label=label)
    axes.set(ylim=(-0.1, 1.1), yticks=[0, 1])
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.95), ncols=2)
