"""The recorder without ROS: one episode after the other, each into a bag of its own, overwriting nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dynamo_policies.contract import Contract
from dynamo_ros.core.gaps import SequenceGaps
from dynamo_ros.core.heard import Heard
from dynamo_ros.core.recording import EpisodeSummary, EpisodeWriter, RecordingError, Topic, topics_of

LAST_NUMBER = 999


class RecorderStatus(NamedTuple):
    """What the recorder is doing; without an episode all counts are 0."""

    task: str
    path: Path | None
    messages: int
    dropped: int
    bytes: int
    seconds: float


IDLE = RecorderStatus("", None, 0, 0, 0, 0.0)


class Recorder:
    """Takes every message, and writes those that come during an episode."""

    def __init__(
        self,
        contract: Contract,
        folder: Path,
        extras: Sequence[Topic] = (),
        *,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._contract, self._folder, self._extras, self._versions = contract, folder, tuple(extras), versions
        self.topics = (*topics_of(contract), *self._extras)
        self._heard = Heard(contract)
        self._gaps = {topic.name: SequenceGaps() for topic in self.topics}
        self._writer: EpisodeWriter | None = None
        self._task, self._path, self._started_ns = "", folder, 0
        self.failure = ""

    @property
    def recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self._writer is not None

    def status(self, now_ns: int) -> RecorderStatus:
        """Return what is going on."""
        if self._writer is None:
            return IDLE
        w, seconds = self._writer, (now_ns - self._started_ns) / 1e9
        return RecorderStatus(self._task, self._path, w.messages, w.dropped, w.payload_bytes, seconds)

    def start(self, task: str, now_ns: int, *, operator: str = "", note: str = "") -> Path:
        """Begin an episode and return where its bag will be.

        Raises:
            RecordingError: an episode is being recorded, or an observed stream has never spoken.
            UnknownNameError: the contract has no such task.
        """
        if self._writer is not None:
            raise RecordingError(f"{self._path.name} is being recorded; stop or discard it first")
        self._contract.task(task)
        if self._heard.silent:
            raise RecordingError(f"nothing has come yet from {', '.join(self._heard.silent)}")
        path, extras = next_path(self._folder, task), self._extras
        self._writer = EpisodeWriter(
            path, self._contract, task, extras, operator=operator, note=note, versions=self._versions
        )
        self._task, self._path, self._started_ns, self.failure = task, path, now_ns, ""
        # What was said once before the episode holds during it.
        for message in self._heard.latched:
            self._write(message.topic, message.cdr, now_ns)
        return path

    def saw(self, topic: str, cdr: bytes, receive_ns: int, *, sequence: int | None = None) -> None:
        """Take a message: CDR bytes, received at `receive_ns`.

        `sequence` is its number among those of the topic's publisher, None where that can't be told.
        """
        self._heard.saw(topic, cdr)
        missing = self._missing(topic, sequence)
        if self._writer is not None:
            self._writer.lost(topic, missing)
            self._write(topic, cdr, receive_ns)

    def stop(self, outcome: str, note: str = "") -> EpisodeSummary:
        """End the episode and complete its bag; see `EpisodeWriter.close`."""
        writer = self._recording("stop")
        summary = writer.close(outcome, note)
        self._writer = None
        return summary

    def discard(self) -> Path:
        """End the episode, delete what was written and return where it would have been."""
        writer = self._recording("discard")
        writer.discard()
        self._writer = None
        return self._path

    def _recording(self, verb: str) -> EpisodeWriter:
        if self._writer is None:
            raise RecordingError(f"nothing to {verb}: no episode is being recorded")
        return self._writer

    def _missing(self, topic: str, sequence: int | None) -> int:
        if sequence is None:
            self._gaps[topic].forget()
            return 0
        return self._gaps[topic].missing(sequence)

    def _write(self, topic: str, cdr: bytes, receive_ns: int) -> None:
        assert self._writer is not None
        try:
            self._writer.write(topic, cdr, receive_ns)
        except RecordingError as error:  # the disk failed: the episode's summary will say so
            self.failure = str(error)


def next_path(folder: Path, task: str) -> Path:
    """Return `folder`/`task`_NNN with the number after the highest there, hidden bags included."""
    pattern = re.compile(rf"\.?{re.escape(task)}_(\d+)")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    numbers = [int(found.group(1)) for found in map(pattern.match, names) if found]
    number = max(numbers, default=-1) + 1
    if number > LAST_NUMBER:
        raise RecordingError(f"{folder} holds {task}_{max(numbers):03}; take another folder")
    return folder / f"{task}_{number:03}"
