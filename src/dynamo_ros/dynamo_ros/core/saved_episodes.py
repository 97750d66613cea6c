"""Episodes that have ended: completed behind the scenes; the last one can be marked or set aside."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from dynamo_ros.core.marks import annotate, set_aside
from dynamo_ros.core.recording import EpisodeSummary, EpisodeWriter, RecordingError
from dynamo_ros.core.recording_plan import RecordingPlan


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


class SavedEpisodes:
    """The episodes that have ended, which count in the session's plan; `last` is the last complete one."""

    def __init__(self, plan: RecordingPlan) -> None:
        self.last: EpisodeSummary | None = None
        self._plan, self._task = plan, ""  # of `last`
        self._endings: deque[Ending] = deque()
        self._untold: list[EpisodeSummary] = []

    @property
    def saving(self) -> int:
        """How many are being completed."""
        return len(self._endings)

    def add(self, task: str, outcome: str, writer: EpisodeWriter) -> Ending:
        """Take in an episode that has just ended."""
        ending = Ending(task, outcome, writer)
        self._endings.append(ending)
        self._plan.count(task, outcome)
        return ending

    def completed(self) -> list[EpisodeSummary]:
        """Return those that are complete since the last call."""
        self.collect()
        told, self._untold = self._untold, []
        return told

    def collect(self) -> None:
        """Take note of those that are complete; `completed` will tell of them."""
        while self._endings and self._endings[0].done:
            ending = self._endings.popleft()
            self.last, self._task = ending.summary(), ending.task
            self._untold.append(self.last)
            if self.last.error:  # There is no bag that could count.
                self._plan.count(ending.task, ending.outcome, -1)

    def settled(self, wait_s: float) -> bool:
        """Return whether none is being completed; else that waits for one, at most so long."""
        going_on = next((ending for ending in self._endings if not ending.done), None)
        if going_on is not None:
            going_on.wait(wait_s)
        return going_on is None

    def finish(self) -> None:
        """Wait until all are complete."""
        for ending in self._endings:
            ending.summary()

    def mark(self, outcome: str, note: str) -> Path:
        """Say how the last one went, and return its bag.

        Raises:
            RecordingError: there is none, or the disk refuses.
        """
        last = self._last("mark")
        if last.error:
            raise RecordingError(f"nothing to mark: the last episode was not saved: {last.error}")
        annotate(last.path, {"outcome": outcome}, note=note)
        self._plan.count(self._task, last.outcome, -1)
        self._plan.count(self._task, outcome)
        self.last = last._replace(outcome=outcome)
        return last.path

    def last_task(self) -> str:
        """Return the task of the last one, whether it was saved or not; RecordingError if there is none."""
        self._last("redo")
        return self._task

    def set_last_aside(self) -> None:
        """Hide the last one, as if it had not been; what is left of one that failed stays for `repair`.

        Raises:
            RecordingError: there is none, or the disk refuses.
        """
        last = self._last("redo")
        if not last.error:
            set_aside(last.path)
            self._plan.count(self._task, last.outcome, -1)
        self.last = None

    def _last(self, verb: str) -> EpisodeSummary:
        self.finish()
        self.collect()
        if self.last is None:
            raise RecordingError(f"nothing to {verb}: no episode was recorded")
        return self.last
