"""The policies that a config may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.policies.base import Policy, PolicyConfig
from dynamo_policies.policies.knn import KnnConfig, fit_knn, load_knn
from dynamo_policies.policies.mlp import MlpConfig, fit_mlp, load_mlp


class PolicyKind(NamedTuple):
    """How one kind of policy is configured, fitted and read back."""

    config: type[PolicyConfig]
    fit: Callable[..., Policy]
    load: Callable[[Any, Any, Any], Policy]


POLICIES: dict[str, PolicyKind] = {
    "mlp": PolicyKind(MlpConfig, fit_mlp, load_mlp),
    "knn": PolicyKind(KnnConfig, fit_knn, load_knn),
}


def policy_kind(name: str) -> PolicyKind:
    """Return the kind called `name`, or raise UnknownNameError."""
    if name not in POLICIES:
        raise UnknownNameError("policy", name, POLICIES)
    return POLICIES[name]
