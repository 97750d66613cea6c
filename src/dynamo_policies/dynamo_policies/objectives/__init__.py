"""The pretraining objectives that a config may name."""

from __future__ import annotations

from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.byol import Byol, ByolConfig, ByolT, ByolTConfig
from dynamo_policies.objectives.dynamo import Dynamo, DynamoConfig
from dynamo_policies.objectives.labelled import (
    DynamoActions,
    DynamoActionsConfig,
    InverseDynamics,
    InverseDynamicsConfig,
)
from dynamo_policies.objectives.mae import Mae, MaeConfig
from dynamo_policies.objectives.moco import MocoConfig, MocoV3
from dynamo_policies.objectives.rpt import Rpt, RptConfig
from dynamo_policies.objectives.tcn import TcnMv, TcnMvConfig, TcnSv, TcnSvConfig

OBJECTIVES: dict[str, tuple[type[ObjectiveConfig], type[Objective]]] = {
    "dynamo": (DynamoConfig, Dynamo),
    "dynamo_actions": (DynamoActionsConfig, DynamoActions),
    "inverse_dynamics": (InverseDynamicsConfig, InverseDynamics),
    "byol": (ByolConfig, Byol),
    "byol_t": (ByolTConfig, ByolT),
    "moco_v3": (MocoConfig, MocoV3),
    "rpt": (RptConfig, Rpt),
    "tcn_mv": (TcnMvConfig, TcnMv),
    "tcn_sv": (TcnSvConfig, TcnSv),
    "mae": (MaeConfig, Mae),
}

__all__ = ["OBJECTIVES", "Losses", "Objective", "ObjectiveConfig"]
