"""Settings of a core object as parameters of its node."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from rclpy.node import Node

S = TypeVar("S")


def declared(node: Node, cls: type[S]) -> S:
    """Declare every field of the dataclass `cls`, all with defaults, as a parameter; return what was set."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # no way to say "a dataclass"
        value = node.declare_parameter(field.name, field.default).value
        given[field.name] = tuple(value) if isinstance(field.default, tuple) else value
    return cls(**given)
