"""What drivers need of ROS; nodes/bus.py has it, tests have others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Service(Protocol):
    """A service of somebody else."""

    name: str

    def ready(self) -> bool:
        """Return whether it is there now."""

    def call(self, request: Any, answered: Callable[[Any], None]) -> None:
        """Call it without waiting; `answered` gets the response later, unless `forget` comes first."""

    def forget(self) -> None:
        """Give up on answers that have not come."""


class Goals(Protocol):
    """An action server of somebody else."""

    def ready(self) -> bool:
        """Return whether it is there now."""

    def send(self, goal: Any) -> None:
        """Send a goal; what becomes of it is of no interest."""


class Bus(Protocol):
    """Topics, services and actions."""

    def publisher(self, kind: type, topic: str) -> Callable[[Any], None]:
        """Return what publishes messages of the type `kind` on `topic`, also serialised ones (bytes)."""

    def serialised(self, message: Any) -> bytes:
        """Return `message` as it goes over the wire."""

    def subscribe(self, kind: type, topic: str, heard: Callable[[Any], None]) -> None:
        """Call `heard` with each message of `topic`."""

    def service(self, kind: type, name: str) -> Service:
        """Return the service `name`."""

    def goals(self, kind: type, name: str) -> Goals:
        """Return the action server `name`."""
