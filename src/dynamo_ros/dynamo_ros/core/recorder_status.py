"""What a recorder tells of itself: what it is doing, and episodes that are being completed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dynamo_ros.core.recording import EpisodeSummary, EpisodeWriter


class RecorderStatus(NamedTuple):
    """What the recorder is doing; without an episode all counts are 0."""

    task: str = ""
    path: Path | None = None
    messages: int = 0
    dropped: int = 0
    bytes: int = 0
    seconds: float = 0.0
    outcome: str = ""  # as marked so far
    waiting_bytes: int = 0
    written_bytes: int = 0


class Ending:
    """An episode that has ended and whose bag is being completed."""

    def __init__(self, task: str, outcome: str, writer: EpisodeWriter) -> None:
        self.task, self.outcome, self._writer = task, outcome, writer

    @property
    def done(self) -> bool:
        """Whether the bag is in its place, or has failed."""
        return self._writer.done

    def wait(self, seconds: float) -> None:
        """Wait until it is done, at most so long."""
        self._writer.wait(seconds)

    def summary(self) -> EpisodeSummary:
        """Wait for it; see `EpisodeWriter.summary`."""
        return self._writer.summary()
