"""The one error that ends the set-up."""

from __future__ import annotations


class SetupError(Exception):
    """What went wrong, in one line, and what to do about it, in another."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}\n  hint: {hint}")
