"""A bus without a graph: what drivers call and publish is noted, and answered when a test says so."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from rclpy.serialization import serialize_message


class Response:
    """Any service's response."""

    def __init__(self, ret: int = 0, message: str = "", *, success: bool = True) -> None:
        self.ret, self.message, self.success = ret, message, success


class FakeService:
    """A service that keeps its calls; with `prompt` it answers at once."""

    def __init__(self, name: str) -> None:
        self.name, self.there, self.prompt, self.code = name, True, False, 0
        self.requests: list[Any] = []
        self.open: list[Callable[[Any], None]] = []

    def ready(self) -> bool:
        return self.there

    def call(self, request: Any, answered: Callable[[Any], None]) -> None:
        self.requests.append(request)
        if self.prompt:
            answered(Response(self.code))
        else:
            self.open.append(answered)

    def answer(self, ret: int = 0) -> None:
        """Answer the oldest call."""
        self.open.pop(0)(Response(ret))

    def forget(self) -> None:
        self.open.clear()


class FakeBus:
    """Services by name, messages by topic, and who listens."""

    def __init__(self, *, prompt: bool = True) -> None:
        self._prompt = prompt
        self.services: dict[str, FakeService] = {}
        self.published: dict[str, list[Any]] = {}
        self.heard: dict[str, Callable[[Any], None]] = {}
        self.kinds: dict[str, type] = {}

    def publisher(self, kind: type, topic: str) -> Callable[[Any], None]:
        self.kinds[topic] = kind
        published = self.published.setdefault(topic, [])
        # As a real one, it keeps nothing that changes when the message is used again.
        return lambda message: published.append(copy.deepcopy(message))

    def serialised(self, message: Any) -> bytes:
        return serialize_message(message)

    def subscribe(self, kind: type, topic: str, heard: Callable[[Any], None]) -> None:
        self.kinds[topic], self.heard[topic] = kind, heard

    def service(self, kind: type, name: str) -> FakeService:
        self.kinds[name] = kind
        service = self.services.setdefault(name, FakeService(name))
        service.prompt = self._prompt
        return service
