"""Policies: from features to chunks of actions."""

from __future__ import annotations

from dynamo_policies.policies.base import Demonstration, Policy, PolicyConfig, PolicyRecord, demonstrate
from dynamo_policies.policies.fitting import FittedPolicy, fit_policy
from dynamo_policies.policies.table import POLICIES, PolicyKind, load_policy_config, policy_kind

__all__ = [
    "POLICIES",
    "Demonstration",
    "FittedPolicy",
    "Policy",
    "PolicyConfig",
    "PolicyKind",
    "PolicyRecord",
    "demonstrate",
    "fit_policy",
    "load_policy_config",
    "policy_kind",
]
