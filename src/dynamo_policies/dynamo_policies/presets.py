"""DynaMo as its paper describes it and as its authors' code runs it: one table of all that differs.

A config names one with `preset:`; its own keys come on top. Given to a run by hand, the preset comes on top.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dynamo_policies.errors import ConfigError, UnknownNameError

OBJECTIVES = ("dynamo", "dynamo_actions", "inverse_dynamics")

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "covariance": "paper",  # divided by d
        "inverse_in_ema": False,  # all models are trained jointly
        "ema_buffers": True,  # not stated; an average of the encoder includes its statistics
        "constant_lr": [],  # one schedule for all models is implied
        "schedule_every": "step",  # not stated
        "ema_every": "step",  # not stated; MoCo v3's code, whose rule it is, does so
        "weight_decay": 0.0,
        "undecayed_vectors": [],
        "unused_ticks": 0,  # every window of an episode is used
    },
    "released": {
        "covariance": "released",  # divided by d(d-1)
        "inverse_in_ema": True,  # where there is a moving average; it stays at its random start
        "ema_buffers": False,  # batch norms of the average keep their first statistics
        "constant_lr": ["forward"],  # its optimiser has no schedule
        "schedule_every": "epoch",  # the first epoch runs at learning rate 0
        "ema_every": "epoch",
        "undecayed_vectors": ["inverse", "forward"],
        "unused_ticks": 1,  # the last window of an episode is never used
    },
}


def expand(values: Mapping[str, Any], known: Collection[str], *, where: str) -> dict[str, Any]:
    """Return `values` with the keys of its `preset`, if it names one, under its own; only `known` ones."""
    rest = {key: value for key, value in values.items() if key != "preset"}
    if "preset" not in values:
        return rest
    return preset(str(values["preset"]), rest, known, where=where) | rest


def overlay(name: str, values: Mapping[str, Any], known: Collection[str], *, where: str) -> dict[str, Any]:
    """Return `values` with the keys of the preset `name` in place of its own."""
    return {**values, **preset(name, values, known, where=where)}


def preset(name: str, values: Mapping[str, Any], known: Collection[str], *, where: str) -> dict[str, Any]:
    """Return those keys of the preset `name` that an objective of `values` has."""
    if name not in PRESETS:
        raise UnknownNameError(f"{where}: preset", name, PRESETS)
    objective = values.get("objective", "dynamo")
    if objective not in OBJECTIVES:
        raise ConfigError(f"{where}: presets are for {', '.join(OBJECTIVES)}; the objective is {objective}")
    chosen = {key: value for key, value in PRESETS[name].items() if key in known}
    if "inverse_in_ema" in chosen and values.get("target") != "ema":
        chosen["inverse_in_ema"] = False
    for key in ("constant_lr", "undecayed_vectors"):
        chosen[key] = [network for network in chosen[key] if network != _absent(values)]
    return chosen


def _absent(values: Mapping[str, Any]) -> str:
    """Return the network of DynaMo that the objective of `values` lacks, if there is one."""
    if values.get("objective") == "inverse_dynamics":
        return "forward"
    return "inverse" if values.get("dynamics") == "no_inverse" else ""
