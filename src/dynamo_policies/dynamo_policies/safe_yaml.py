"""YAML that others wrote: data alone, and no more of it than its text is long."""

from __future__ import annotations

import math
from typing import Any

import yaml

# Characters and values with all aliases written out: twice what is read of a text.
LARGEST = 8 << 20
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where there is one


class Loader(LOADER):  # type: ignore[misc, valid-type]  # one of two classes
    """A safe loader that knows no merge keys (`<<`): merges of merges grow without bound."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge nothing, so that a merge key is an error."""


def load_yaml(text: str) -> Any:
    """Return what the YAML `text` holds.

    Raises:
        yaml.YAMLError: it is no YAML, has a merge key, or its aliases stand for more than `LARGEST`.
    """
    try:
        loaded = yaml.load(text, Loader=Loader)  # noqa: S506  # a safe loader
        size = _size(loaded, {})
    except (ValueError, RecursionError) as error:  # of dates and numbers that can't be, and of deep nesting
        raise yaml.YAMLError(str(error)) from error
    if size > LARGEST:
        raise yaml.YAMLError(f"with its aliases written out it is longer than {LARGEST} characters")
    return loaded


def _size(value: Any, known: dict[int, float]) -> float:
    """Return the characters and values of `value`, infinite if it holds itself; `known` are those by id."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if not isinstance(value, (dict, list, tuple, set)):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]
