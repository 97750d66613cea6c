"""The picture of `dynamo replay`: how far a policy is from what was commanded in a bag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dynamo_policies.report.plots import AMBER, BLUE, SOFT
from dynamo_ros.bag_replay import BagReplay
from dynamo_ros.core.divergence import Divergence


def divergence_plot(found: BagReplay, apart: Divergence, path: Path) -> None:
    """Draw differences of position (mm), rotation (degrees) and both grippers over time."""
    start_ns = int(found.replayed.stamps_ns[0])
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    rows = figure.subplots(3, 1, sharex=True, height_ratios=[2, 2, 1])
    seconds = (apart.stamps_ns - start_ns) / 1e9
    for axes, values, unit, what in (
        (rows[0], apart.metres * 1e3, "mm", "position"),
        (rows[1], np.degrees(apart.radians), "degrees", "rotation"),
    ):
        axes.plot(seconds, values, color=BLUE, linewidth=1.2)
        title = f"{what}: replayed policy from what was commanded"
        if len(values):
            title += f"; median {np.median(values):.1f}, 95 % below {np.percentile(values, 95):.1f} {unit}"
        axes.set_title(title, loc="left", fontsize=9)
        axes.set(ylabel=unit, ylim=(0, None))
    _grippers(rows[2], found, start_ns)
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
        for one in found.replayed.beginnings:
            if one.stop is not None:
                axes.axvline((one.stop.at_ns - start_ns) / 1e9, color=AMBER, linewidth=1)
    if any(one.stop is not None for one in found.replayed.beginnings):
        rows[0].plot([], [], color=AMBER, label="stopped, begun anew")
        rows[0].legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.97))
    rows[2].set_xlabel("s since the first command")
    figure.savefig(path, dpi=110)


def _grippers(axes: object, found: BagReplay, start_ns: int) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.set_title("gripper, 0 open to 1 closed", loc="left", fontsize=9)
    for targets, colour, width, label in (
        (found.commanded, SOFT, 3.0, "commanded in the bag"),
        (found.replayed, BLUE, 1.2, "replayed policy"),
    ):
        seconds = (targets.stamps_ns - start_ns) / 1e9
        axes.step(seconds, targets.gripper, where="post", color=colour, linewidth=width, label=label)
    axes.set(ylim=(-0.1, 1.1), yticks=[0, 1])
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.95), ncols=2)
