"""The episode that is being recorded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dynamo_ros.core.recorder_status import RecorderStatus
from dynamo_ros.core.recording import EpisodeWriter


class Trouble(NamedTuple):
    """What the disk did, and the sentence that says it."""

    how: str
    why: str


class OpenEpisode:
    """An episode with what it is for, when it began, and what was said of it so far."""

    def __init__(self, writer: EpisodeWriter, task: str, path: Path, started_ns: int) -> None:
        self.writer, self.task, self.path = writer, task, path
        self._started_ns, self._marked, self._note = started_ns, "", ""

    @property
    def trouble(self) -> Trouble | None:
        """Why it should end now; None while the disk takes more."""
        if self.writer.error:
            return Trouble("failed", self.writer.error)
        return Trouble("is full", self.writer.full) if self.writer.full else None

    def status(self, now_ns: int) -> RecorderStatus:
        """Return how far it is."""
        its = self.writer
        return RecorderStatus(
            self.task,
            self.path,
            its.messages,
            its.dropped,
            its.payload_bytes,
            (now_ns - self._started_ns) / 1e9,
            self._marked or "unknown",
            its.waiting_bytes,
            its.written_bytes,
        )

    def mark(self, outcome: str, note: str) -> None:
        """Say how it goes; a later mark takes the place of an earlier one, notes add up."""
        self._marked, self._note = outcome, _joined(self._note, note)

    def end(self, outcome: str, note: str) -> str:
        """Let the bag be completed behind the scenes; return how it went, where `outcome` is empty as marked.

        Raises:
            UnknownNameError: `outcome` is none.
        """
        outcome = outcome or self._marked or "unknown"
        self.writer.end(outcome, _joined(self._note, note))
        return outcome


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
