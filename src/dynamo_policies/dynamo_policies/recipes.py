"""All settings of a pretraining run in one flat YAML file: those of the loop and those of its objective."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dynamo_policies.configs import build, read_yaml
from dynamo_policies.encoders import Kind
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.objectives import OBJECTIVES, ObjectiveConfig
from dynamo_policies.presets import expand, overlay


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Settings of a run.

    Its budget is in `steps`, or in `epochs` of as many steps as show each segment once, rounded up: either
    way the result does not depend on how fast a machine is. `warmup` is the share of the budget in which the
    learning rate rises; with `schedule: cosine` it then falls to 0 along half a cosine, with `constant` there
    is neither. `schedule_every: epoch` moves it between epochs only and begins at 0, as the authors' code
    does; `ema_every` is the same for the decay of moving averages. `constant_lr` names networks that keep the
    full learning rate throughout, `undecayed_vectors` those whose biases and norms have no weight decay.

    `segment_length` ticks are shown at once, and `unused_ticks` more have to follow: the authors' code leaves
    out the last window of an episode. A share of `train_share` of the episodes, drawn from `split_seed`, is
    learned from; the curves `validation/...` are of the others. `init` is the encoder to start from: a
    folder, or a checkpoint that `dynamo encoder import` can read. `sync_batch_norm`: where several processes
    share a run, batch norms see all of them.

    A step's `segments` are shared by all processes, and each learns from its own in `accumulate` parts, one
    after the other, which takes less memory. `resident`: keep all frames on the device; auto does so on CUDA
    where they take at most half of what is free. `deterministic`: two runs give the same weights to the bit,
    or torch raises.

    `betas` are those of Adam and AdamW, `momentum` is that of LARS, which leaves biases and norms undecayed
    in any case. `clip_norm: null` clips nothing. A run whose embeddings collapse in `collapse_checks` checks
    in a row, one at each logged step, is stopped unless `stop_on_collapse` is false.
    """

    objective: str = "dynamo"
    init: str = ""
    image_size: int = 96
    crop: Literal["center", "none"] = "center"
    encoder: Kind = "resnet18"
    channels: int = 64
    segment_length: int = 12
    segments: int = 6
    accumulate: int = 1
    unused_ticks: int = 0
    train_share: float = 1.0
    split_seed: int = 42
    steps: int = 300
    epochs: int = 0
    optimiser: Literal["adamw", "adam", "lars"] = "adamw"
    betas: tuple[float, ...] = (0.9, 0.999)
    momentum: float = 0.9
    learning_rate: float = 3e-4
    warmup: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    schedule_every: Literal["step", "epoch"] = "step"
    ema_every: Literal["step", "epoch"] = "step"
    weight_decay: float = 0.0
    clip_norm: float | None = 0.1
    constant_lr: tuple[str, ...] = ()
    undecayed_vectors: tuple[str, ...] = ()
    sync_batch_norm: bool = True
    precision: Literal["bf16", "float32"] = "bf16"
    compile: bool = False
    resident: Literal["auto", True, False] = "auto"
    deterministic: bool = False
    checkpoint_every: int = 100
    log_every: int = 10
    stop_on_collapse: bool = True
    collapse_checks: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        at_least_once = (
            *("segment_length", "segments", "accumulate"),
            *("checkpoint_every", "log_every", "collapse_checks"),
        )
        least = dict.fromkeys(at_least_once, 1)
        least |= {"unused_ticks": 0, "epochs": 0, "steps": 0 if self.epochs else 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} {getattr(self, name)} is not at least {bound}")
        for name in ("learning_rate", "clip_norm"):
            if (value := getattr(self, name)) is not None and value <= 0.0:
                raise ConfigError(f"{name} {value:g} must be positive")
        self._check_averages()
        if not 0.0 <= self.warmup < 1.0:
            raise ConfigError(f"warmup {self.warmup:g} is not in 0 <= warmup < 1")
        if self.segments % self.accumulate:
            raise ConfigError(f"segments {self.segments} can't be learned from in {self.accumulate} parts")
        if not 0.0 < self.train_share <= 1.0:
            raise ConfigError(f"train_share {self.train_share:g} is not in 0 < train_share <= 1")
        for name in ("schedule_every", "ema_every"):
            if getattr(self, name) == "epoch" and not self.epochs:
                raise ConfigError(f"{name}: epoch needs a budget in epochs; give `epochs`, or {name}: step")

    def _check_averages(self) -> None:
        if len(self.betas) != 2 or not all(0.0 <= beta < 1.0 for beta in (*self.betas, self.momentum)):
            raise ConfigError(
                f"two betas and momentum must be in 0..1, not {self.betas} and {self.momentum:g}"
            )

    def epoch_of(self, step: int) -> int:
        """Return the epoch that `step` is in, once the epochs are known as steps."""
        return step * self.epochs // self.steps


class Recipe(NamedTuple):
    """All settings of a run: those of the loop and those of the objective."""

    run: PretrainConfig
    objective: ObjectiveConfig

    @property
    def settings(self) -> dict[str, Any]:
        """Return both as one flat mapping."""
        return dataclasses.asdict(self.run) | dataclasses.asdict(self.objective)

    def over(self, segments: Sized) -> Recipe:
        """Return the recipe with its epochs, if it counts in them, as steps over that many segments."""
        if not self.run.epochs:
            return self
        steps = self.run.epochs * math.ceil(len(segments) / self.run.segments)
        return self._replace(run=dataclasses.replace(self.run, steps=steps))


BUDGETS = {"steps": "epochs", "epochs": "steps"}


def load_recipe(path: Path | str, *, preset: str | None = None, **changes: Any) -> Recipe:
    """Return the settings in the flat YAML file at `path`, with `changes` in place of what it says.

    `preset` comes over what the file says, a preset that the file names under it.
    """
    values = read_yaml(path)
    for name in changes:
        values.pop(BUDGETS.get(name, ""), None)  # a budget given by hand replaces the file's, of either kind
    values |= changes
    name = str(values.get("objective", "dynamo"))
    if name not in OBJECTIVES:
        raise UnknownNameError(f"{path}: objective", name, OBJECTIVES)
    parts = (PretrainConfig, OBJECTIVES[name][0])
    known = [{field.name for field in dataclasses.fields(part)} for part in parts]
    for key in values:
        if key not in set().union(*known, ("preset",)):
            raise UnknownNameError(f"{path}: key", key, set().union(*known, ("preset",)))
    values = _with_presets(values, preset, set().union(*known), where=str(path))
    run, objective = ({key: values[key] for key in values if key in keys} for keys in known)
    return Recipe(build(PretrainConfig, run, where=str(path)), build(parts[1], objective, where=str(path)))


def _with_presets(values: dict[str, Any], over: str | None, known: set[str], *, where: str) -> dict[str, Any]:
    if {"steps", "epochs"} <= set(values):
        raise ConfigError(f"{where}: the budget is given in steps and in epochs; one of them is possible")
    if "epochs" in values:
        values = values | {"steps": 0}  # known once the segments are counted
    values = expand(values, known, where=where)
    return values if over is None else overlay(over, values, known, where=where)
