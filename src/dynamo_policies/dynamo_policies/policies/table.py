"""The policies that a config may name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dynamo_policies.configs import build, read_yaml
from dynamo_policies.errors import ConfigError, UnknownNameError
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


def load_policy_config(path: Path | str) -> tuple[str, PolicyConfig]:
    """Return the policy's name and its settings in the flat YAML file at `path`, whose key `policy` chooses.

    Raises:
        ConfigError: the file is missing, names no known policy, or does not fit the policy it names.
    """
    values = read_yaml(path)
    if "policy" not in values:
        raise ConfigError(f"{path} has no key 'policy' (possible: {', '.join(POLICIES)})")
    name = str(values.pop("policy"))
    return name, build(policy_kind(name).config, values, where=str(path))


def policy_kind(name: str) -> PolicyKind:
    """Return the kind called `name`, or raise UnknownNameError."""
    if name not in POLICIES:
        raise UnknownNameError("policy", name, POLICIES)
    return POLICIES[name]
