"""The parameters that name a bundle, and the bundle that they name."""

from __future__ import annotations

from rclpy.node import Node

from dynamo_policies.bundle import Bundle, load_bundle
from dynamo_policies.contract import ContractMismatchError
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.runner import RunnerError
from dynamo_ros.locations import find_contract

FIXED = ("bundle", "contract", "device")  # not to be changed while a bundle is loaded


def declare_bundle(node: Node) -> None:
    """Declare `bundle`, `contract`, `task` and `device`."""
    for name in ("bundle", "contract", "task"):
        node.declare_parameter(name, "")
    node.declare_parameter("device", "cpu")


def load_declared(node: Node) -> Bundle:
    """Return the bundle that the parameters name; DynamoError where it does not fit the other parameters."""
    path, name, task, device = (
        str(node.get_parameter(key).value) for key in ("bundle", "contract", "task", "device")
    )
    if not path:
        raise RunnerError("parameter bundle is empty; it is the folder that `dynamo train` wrote")
    bundle = load_bundle(path, device=device)
    if name and (expected := find_contract(name)).hash != bundle.contract.hash:
        raise ContractMismatchError(f"bundle {path} against contract {name}", bundle.contract, expected)
    if task and task not in bundle.tasks:
        raise UnknownNameError("task", task, bundle.tasks)
    return bundle
