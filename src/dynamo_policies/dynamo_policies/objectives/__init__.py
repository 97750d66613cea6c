"""The pretraining objectives that a config may name."""

from __future__ import annotations

from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.dynamo import Dynamo, DynamoConfig

OBJECTIVES: dict[str, tuple[type[ObjectiveConfig], type[Objective]]] = {
    "dynamo": (DynamoConfig, Dynamo),
}

__all__ = ["OBJECTIVES", "Losses", "Objective", "ObjectiveConfig"]
