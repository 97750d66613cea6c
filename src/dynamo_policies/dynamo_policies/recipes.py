"""All settings of a pretraining run in one flat YAML file: those of the loop and those of its objective."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dynamo_policies.configs import build, read_yaml
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.objectives import OBJECTIVES, ObjectiveConfig


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Settings of a run. The budget is in steps, so that results do not depend on how fast a machine is.

    `warmup` is the share of the steps in which the learning rate rises; it then falls to 0 along half a
    cosine. `constant_lr` names networks that keep the full learning rate throughout, as the forward model
    does in the authors' code.
    """

    objective: str = "dynamo"
    image_size: int = 96
    crop: Literal["center", "none"] = "center"
    channels: int = 64
    segment_length: int = 12
    segments: int = 6
    steps: int = 300
    learning_rate: float = 3e-4
    warmup: float = 0.1
    weight_decay: float = 0.0
    clip_norm: float = 0.1
    constant_lr: tuple[str, ...] = ()
    precision: Literal["bf16", "float32"] = "bf16"
    compile: bool = False
    checkpoint_every: int = 100
    log_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("segment_length", "segments", "steps", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} is not at least 1")
        if self.learning_rate <= 0.0 or self.clip_norm <= 0.0:
            raise ConfigError(
                f"learning_rate {self.learning_rate:g} and clip_norm {self.clip_norm:g} must be positive"
            )
        if not 0.0 <= self.warmup < 1.0:
            raise ConfigError(f"warmup {self.warmup:g} is not in 0 <= warmup < 1")


class Recipe(NamedTuple):
    """All settings of a run: those of the loop and those of the objective."""

    run: PretrainConfig
    objective: ObjectiveConfig

    @property
    def settings(self) -> dict[str, Any]:
        """Return both as one flat mapping."""
        return dataclasses.asdict(self.run) | dataclasses.asdict(self.objective)


def load_recipe(path: Path | str, **changes: Any) -> Recipe:
    """Return the settings in the flat YAML file at `path`, with `changes` in place of what it says."""
    values = read_yaml(path) | changes
    name = str(values.get("objective", "dynamo"))
    if name not in OBJECTIVES:
        raise UnknownNameError(f"{path}: objective", name, OBJECTIVES)
    parts = (PretrainConfig, OBJECTIVES[name][0])
    known = [{field.name for field in dataclasses.fields(part)} for part in parts]
    for key in values:
        if key not in set().union(*known):
            raise UnknownNameError(f"{path}: key", key, set().union(*known))
    run, objective = ({key: values[key] for key in values if key in keys} for keys in known)
    return Recipe(build(PretrainConfig, run, where=str(path)), build(parts[1], objective, where=str(path)))
