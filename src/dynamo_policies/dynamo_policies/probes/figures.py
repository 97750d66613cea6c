"""The figures of a report card: what each means, which direction is better, and what it may be used for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError

Role = Literal["gate", "alarm", "shown only"]
Protocol = Literal["held-out", "released"]
Better = Literal["lower", "higher"]
Split = Literal["", "state", "action", "released state", "released action"]  # one figure for each group of it

TOOL, TOTAL = "tool", "total"


class Figure(NamedTuple):
    """One kind of figure. `by_view`: it is also computed for each camera alone."""

    meaning: str
    unit: str  # "own": that of what is predicted
    better: Better
    role: Role = "shown only"
    protocol: Protocol = "held-out"
    split: Split = ""
    by_view: bool = False


def _probed(meaning: str, better: Better, role: Role, split: Split) -> Figure:
    return Figure(meaning, "own" if better == "lower" else "", better, role, "held-out", split, by_view=True)


def _released(meaning: str, split: Split) -> Figure:
    return Figure(meaning, "own", "lower", "shown only", "released", split)


_ACTION, _TARGET = "the next action, relative to the measured pose", "the next commanded target"
_FITTED, _NEAREST = "least squares fitted to all frames", "nearest of all other episodes, 200 random queries"

# A gate has a rank correlation with success that benchmarks/gate_study.py has shown (docs/results.md), over
# 17 encoders 0.81 for chunk_error. Deviation, effective rank, probe R2 and object error did not show one.
FIGURES: dict[str, Figure] = {
    "chunk_error": Figure(
        "chunks of a small probe policy, mean absolute error", "deviations", "lower", role="gate"
    ),
    "chunk_error_1s_mm": Figure("its position 1 s ahead, mean distance to the commanded one", "mm", "lower"),
    "reach_error_mm": Figure("the same in the last 2 s before the gripper closes or opens", "mm", "lower"),
    "grasp_error_mm": Figure(
        "ridge probe, until the gripper closes, to the x and y at which it will: RMSE of an entry",
        "mm",
        "lower",
        by_view=True,
    ),
    "object_error_mm": Figure(
        "ridge probe, until the gripper closes, to x and y of the object that gets moved: RMSE of an entry",
        "mm",
        "lower",
        by_view=True,
    ),
    "state_rmse": _probed("ridge probe to the state: RMSE", "lower", "shown only", "state"),
    "state_r2": _probed("ridge probe to the state: explained share", "higher", "alarm", "state"),
    "action_rmse": _probed(f"ridge probe to {_ACTION}: RMSE", "lower", "shown only", "action"),
    "action_r2": _probed(f"ridge probe to {_ACTION}: explained share", "higher", "alarm", "action"),
    "target_rmse": _probed(f"ridge probe to {_TARGET}: RMSE", "lower", "shown only", "action"),
    "target_r2": _probed(f"ridge probe to {_TARGET}: explained share", "higher", "alarm", "action"),
    "nn_state_rmse": _probed("nearest training frame: RMSE of its state", "lower", "shown only", "state"),
    "nn_action_rmse": _probed(f"nearest training frame: RMSE of {_ACTION}", "lower", "shown only", "action"),
    "effective_rank": Figure(
        "directions in use: exp of the entropy of the features' singular values",
        "",
        "higher",
        "alarm",
        by_view=True,
    ),
    "embedding_std": Figure("deviation of a feature, mean over them", "", "higher", "alarm", by_view=True),
    "released_state_mse_train": _released(f"{_FITTED}, to the state: MSE on 95 %", "released state"),
    "released_state_mse_val": _released(f"{_FITTED}, to the state: MSE on the other 5 %", "released state"),
    "released_action_mse_train": _released(f"{_FITTED}, to {_TARGET}: MSE on 95 %", "released action"),
    "released_action_mse_val": _released(f"{_FITTED}, to {_TARGET}: MSE on the other 5 %", "released action"),
    "released_nn_state_mse": _released(f"{_NEAREST}: MSE of its state", "released state"),
    "released_nn_action_mse": _released(f"{_NEAREST}: MSE of {_TARGET}", "released action"),
}


def figure_names(contract: Contract, *, with_objects: bool = True) -> list[str]:
    """Return the names of all figures that bags of `contract` give: `figure`, `/group`, `@camera`."""
    names = []
    for base, figure in FIGURES.items():
        if base == "object_error_mm" and not with_objects:
            continue
        views = ["", *(f"@{camera}" for camera in contract.cameras)] if len(contract.cameras) > 1 else [""]
        for view in views if figure.by_view else [""]:
            names += [f"{base}{group}{view}" for group in _groups(figure.split, contract)]
    return names


def state_groups(contract: Contract) -> tuple[str, ...]:
    """Return the groups of a state: the observed streams of joints, and the measured tool position."""
    return (*contract.proprioception, TOOL)


def action_groups(contract: Contract) -> tuple[str, ...]:
    """Return the groups of an action: position, rotation vector, and what the arm carries."""
    carried = {"gripper": contract.gripper, "hand": contract.hand}
    return ("position", "rotation", *(name for name, sink in carried.items() if sink is not None))


def figure_of(name: str) -> Figure:
    """Return the kind of the figure called `name`, whatever its group and view.

    Raises:
        UnknownNameError: there is no such figure.
    """
    base = name.partition("@")[0].partition("/")[0]
    if base not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    return FIGURES[base]


def unit_of(name: str, contract: Contract) -> str:
    """Return the unit that the figure called `name` is in; empty where it has none."""
    figure = figure_of(name)
    if figure.unit != "own":
        return figure.unit
    group = name.partition("@")[0].partition("/")[2]
    units = {"tool": "mm", "position": "mm", "rotation": "rad", "hand": "rad", "gripper": "", "total": ""}
    if figure.split.endswith("state"):
        units |= {stream: contract.streams[stream].unit for stream in contract.proprioception}
    unit = units[group]
    return f"{unit}²" if unit and "_mse" in name else unit


def _groups(split: Split, contract: Contract) -> Sequence[str]:
    groups = {
        "": ("",),
        "state": state_groups(contract),
        "action": action_groups(contract),
        "released state": (*state_groups(contract), TOTAL),
        "released action": (*action_groups(contract), TOTAL),
    }[split]
    return [f"/{group}" if group else "" for group in groups]
