"""The root of every error that this project raises on purpose."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class DynamoError(Exception):
    """Something the user can act on; its text says what was given and what was possible."""


class ConfigError(DynamoError):
    """A configuration or contract holds something that can't be used."""


class UnknownNameError(ConfigError):
    """A name was given that is not among the known ones."""

    def __init__(self, what: str, given: str, known: Collection[str]) -> None:
        nearest = difflib.get_close_matches(given, sorted(known), n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"{what} {given!r} is unknown{hint} (known: {', '.join(sorted(known))})")
