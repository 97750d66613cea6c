"""What the drivers of a contract are commanded through, by the drivers' own word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo_policies.contract import Contract
from dynamo_ros.core.graph_check import Sink
from dynamo_ros.drivers import ARM_DRIVERS, GRIPPER_DRIVERS, HAND_TYPES


class _Note:
    """A service or an action that is never there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ready(self) -> bool:
        return False

    def call(self, request: Any, answered: Callable[[Any], None]) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Do nothing."""

    def send(self, goal: Any) -> None:
        """Do nothing."""


class _NotingBus:
    """A bus that leads nowhere and takes note of what a driver asks it for."""

    def __init__(self) -> None:
        self.sinks: list[Sink] = []

    def publisher(self, kind: type, topic: str) -> Callable[[Any], None]:
        self.sinks.append(Sink("topic", topic, type_name(kind, "msg")))
        return lambda _message: None

    def serialised(self, message: Any) -> bytes:  # noqa: ARG002  # as other buses'
        return b""

    def subscribe(self, kind: type, topic: str, heard: Callable[[Any], None]) -> None:
        """Listen to nothing."""

    def service(self, kind: type, name: str) -> _Note:
        self.sinks.append(Sink("service", name, type_name(kind, "srv")))
        return _Note(name)

    def goals(self, kind: type, name: str) -> _Note:
        self.sinks.append(Sink("action", name, type_name(kind, "action")))
        return _Note(name)


def command_sinks(contract: Contract) -> tuple[Sink, ...]:
    """Return the topics, services and actions that commands of `contract` go out on.

    Raises:
        MissingPackageError: a driver's messages are not installed.
    """
    bus = _NotingBus()
    ARM_DRIVERS[contract.arm.kind](bus, contract)
    if contract.gripper is not None:
        GRIPPER_DRIVERS[contract.gripper.kind](bus, contract.gripper)
    if contract.hand is not None:
        bus.publisher(HAND_TYPES[contract.hand.kind], contract.hand.topic)
    return tuple(dict.fromkeys(bus.sinks))


def type_name(kind: type, family: str) -> str:
    """Return the name of a message, service or action type, as the graph has it."""
    return f"{kind.__module__.partition('.')[0]}/{family}/{kind.__name__}"
