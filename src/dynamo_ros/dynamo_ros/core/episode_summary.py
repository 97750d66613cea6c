"""What became of an episode."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.verdict import Verdict

OUTCOMES = ("success", "failure", "unknown")


class EpisodeSummary(NamedTuple):
    """What became of an episode. Where `error` is not empty, `path` holds what was written before it."""

    path: Path
    messages: int
    dropped: int
    bytes: int  # payload
    seconds: float  # from the first message to the last
    error: str
    outcome: str = "unknown"
    verdict: Verdict | None = None

    @property
    def colour(self) -> str:
        """The verdict's colour, empty where there is none."""
        return "" if self.verdict is None else self.verdict.colour

    @property
    def remark(self) -> str:
        """What a person should know: why it failed, else the verdict with its reasons."""
        return self.error or str(self.verdict or "")


def check_outcome(outcome: str) -> None:
    """Raise UnknownNameError unless `outcome` is one."""
    if outcome not in OUTCOMES:
        raise UnknownNameError("outcome", outcome, OUTCOMES)
