"""The parameters that name a bundle, and the bundle that they name."""

from __future__ import annotations

import dataclasses
import time

import torch
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from dynamo_policies.bundle import Bundle, load_bundle
from dynamo_policies.contract import Contract, ContractMismatchError
from dynamo_policies.engines.choice import use_engine
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.runner import RunnerError
from dynamo_ros.locations import find_contract

FIXED = (
    "bundle",
    "contract",
    "device",
    "engine",
    "deadman",
    "deadman_button",
)  # not to be changed while a bundle is loaded

AUTHORITIES = ("full", "shadow")


def declare_bundle(node: Node) -> None:
    """Declare `bundle`, `contract`, `task`, `device`, `engine`, `deadman` and `deadman_button`."""
    for name in ("bundle", "contract", "task", "deadman"):
        node.declare_parameter(name, "")
    node.declare_parameter("device", "cpu")
    # Eager starts at once and is the same each time; what `auto` measures depends on the moment. Launch
    # files ask for `auto` on a real robot.
    node.declare_parameter("engine", "eager")
    node.declare_parameter("deadman_button", -1)


def declare_shadow(node: Node) -> bool:
    """Declare `authority`, which can't be changed; return whether it is `shadow`.

    Raises:
        UnknownNameError: it is neither `full` nor `shadow`.
    """
    fixed = ParameterDescriptor(read_only=True)
    authority = str(node.declare_parameter("authority", AUTHORITIES[0], fixed).value)
    if authority not in AUTHORITIES:
        raise UnknownNameError("authority", authority, AUTHORITIES)
    return authority == "shadow"


def load_declared(node: Node) -> tuple[Bundle, Contract]:
    """Return the bundle that the parameters name, and the robot's contract, whose gates count.

    DynamoError where the bundle does not fit the other parameters.
    """
    path, name, task, device = (
        str(node.get_parameter(key).value) for key in ("bundle", "contract", "task", "device")
    )
    if not path:
        raise RunnerError("parameter bundle is empty; it is the folder that `dynamo train` wrote")
    bundle = load_bundle(path, device=device)
    contract = find_contract(name) if name else bundle.contract
    if contract.hash != bundle.contract.hash:
        raise ContractMismatchError(f"bundle {path} against contract {name}", bundle.contract, contract)
    if task and task not in bundle.tasks:
        raise UnknownNameError("task", task, bundle.tasks)
    _set_engine(node, bundle)
    return bundle, _with_parameters(node, contract)


def _set_engine(node: Node, bundle: Bundle) -> None:
    choice = use_engine(
        bundle.embedder,
        str(node.get_parameter("engine").value),
        clock_ns=time.perf_counter_ns,
        policy=bundle.policy,
        threads=torch.get_num_threads(),
    )
    node.get_logger().info(f"engine {choice}")


def _with_parameters(node: Node, contract: Contract) -> Contract:
    """Return `contract` with the deadman that the parameters ask for, and as a simulation can fulfil it."""
    gates, topic = contract.gates, str(node.get_parameter("deadman").value)
    if topic:
        button = int(node.get_parameter("deadman_button").value)
        deadman = dataclasses.replace(gates.deadman, topic=topic, button=button if button >= 0 else None)
        gates = dataclasses.replace(gates, deadman=deadman)
    if node.get_parameter("use_sim_time").value:  # no real arm runs on simulated time
        gates = dataclasses.replace(gates.simulated(), deadman=gates.deadman)
    return dataclasses.replace(contract, gates=gates)
