"""The recorder without ROS: one episode after the other, each into a bag of its own, overwriting nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_ros.core.bag_files import Item
from dynamo_ros.core.bag_places import check_room, next_path
from dynamo_ros.core.episode_events import EVENTS, moment
from dynamo_ros.core.episode_summary import check_outcome
from dynamo_ros.core.listening import Listening
from dynamo_ros.core.open_episode import OpenEpisode
from dynamo_ros.core.recorder_status import RecorderStatus
from dynamo_ros.core.recording import (
    EpisodeSummary,
    EpisodeWriter,
    RecordingError,
    Topic,
    topics_of,
)
from dynamo_ros.core.recording_plan import RecordingPlan
from dynamo_ros.core.saved_episodes import Ending, SavedEpisodes
from dynamo_ros.core.storage_settings import StorageSettings
from dynamo_ros.core.stored_topics import resolved

__all__ = ["EVENTS", "Ending", "Recorder", "RecorderStatus"]


class Recorder:
    """Takes every message, and writes those that come during an episode, and `preroll_s` before it.

    An episode that is being completed does not keep the next one from starting; `tend` tells when it is done.
    """

    def __init__(
        self,
        contract: Contract,
        folder: Path,
        extras: Sequence[Topic] = (),
        *,
        versions: Mapping[str, str] | None = None,
        origin: Mapping[str, str] | None = None,
        settings: StorageSettings | None = None,
        preroll_s: float = 0.0,
        plan: RecordingPlan | None = None,
    ) -> None:
        """`origin` is further text for the custom data of each bag; see `provenance`."""
        self._contract, self._folder = contract, folder
        self._versions, self._origin = versions, dict(origin or {})
        self._settings = resolved(settings or StorageSettings(), contract)
        self.plan = plan or RecordingPlan({}, {})
        self._listening = Listening(
            contract,
            (*topics_of(contract), *extras),
            preroll_s=preroll_s,
            preroll_bytes=self._settings.queue_bytes // 2,  # The queue takes it at once, and what comes.
        )
        self._open: OpenEpisode | None = None
        self.searching = False  # so long an episode waits for all streams: some may not be found yet
        self.begun = 0  # how many episodes
        self.failure = self.warning = ""
        self._discarded = ""  # the task of the last episode, where that was discarded
        self._asked: tuple[str, str] = ("", "")  # operator and note of the last episode
        self._saved = SavedEpisodes(self.plan)

    @property
    def recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self._open is not None

    @property
    def saving(self) -> int:
        """How many episodes are being completed."""
        return self._saved.saving

    @property
    def last(self) -> EpisodeSummary | None:
        """The last episode that is complete."""
        return self._saved.last

    @property
    def topics(self) -> dict[str, Topic]:
        """What is recorded, by name."""
        return self._listening.topics

    def prompt(self, task: str) -> str:
        """Return what the contract has the operator told of `task`."""
        return self._contract.task(task).prompt

    def listen(self, topics: Sequence[Topic]) -> None:
        """From the next episode on record `topics`, with what is now known of them; those before stay."""
        self._listening.listen(topics)

    def status(self, now_ns: int) -> RecorderStatus:
        """Return what is going on."""
        return RecorderStatus() if self._open is None else self._open.status(now_ns)

    def start(self, task: str, now_ns: int, *, operator: str = "", note: str = "") -> Path:
        """Begin an episode and return where its bag will be; an empty `task` is what the plan has next.

        Raises:
            RecordingError: an episode is being recorded, an observed stream has never spoken or during the
                search any stream, the disk has no room, or the plan has nothing next.
            UnknownNameError: the contract has no such task.
        """
        if self._open is not None:
            raise RecordingError(f"{self._open.path.name} is being recorded; stop or discard it first")
        task = task or self._planned()
        path = self._place(task)
        writer = EpisodeWriter(
            path,
            self._contract,
            task,
            (*self.topics.values(), EVENTS),
            operator=operator,
            note=note,
            versions=self._versions,
            origin=self._origin,
            settings=self._settings,
        )
        self._open = OpenEpisode(writer, task, path, now_ns)
        self.begun += 1
        self._asked, self._discarded, self.failure, self.warning = (operator, note), "", "", ""
        if lacking_s := self._listening.lacking_s(now_ns):
            self.warning = f"{lacking_s:.2f} s of the pre-roll are missing: half of queue_mb held no more"
        for item in self._listening.beginning(now_ns):
            self._write(item)
        return path

    def saw(
        self, topic: str, cdr: bytes, receive_ns: int, *, publish_ns: int = 0, sequence: int | None = None
    ) -> None:
        """Take a message: CDR bytes, received at `receive_ns`, sent at `publish_ns` (0: not known).

        `sequence` is its number among those of the topic's publisher, None where that can't be told.
        """
        item = Item(topic, cdr, receive_ns, publish_ns)
        missing = self._listening.saw(item, sequence)
        if self._open is None:
            self._listening.keep(item)
        else:
            self._open.writer.lost(topic, missing)
            self._write(item)

    def moment(self, text: str, now_ns: int) -> None:
        """Mark this moment in the bag, as JSON in a std_msgs/String on `/recorder/events`."""
        self._recording("mark a moment of")
        self._write(moment(text, now_ns))

    def mark(self, outcome: str, note: str = "") -> Path:
        """Say how the episode goes, or how the last one went, and return its bag.

        Raises:
            UnknownNameError: `outcome` is none.
            RecordingError: there is no episode to mark, or the disk refuses.
        """
        check_outcome(outcome)
        if self._open is not None:
            self._open.mark(outcome, note)
            return self._open.path
        if self._discarded:
            raise RecordingError("nothing to mark: the last episode was discarded")
        return self._saved.mark(outcome, note)

    def end(self, outcome: str = "", note: str = "") -> Ending:
        """End the episode; its bag is completed behind the scenes. An empty `outcome` is as marked before.

        Raises:
            UnknownNameError: `outcome` is none.
            RecordingError: no episode is being recorded.
        """
        episode = self._recording("stop")
        outcome = episode.end(outcome, note)
        self._open = None
        self._listening.forget_the_last_seconds()
        return self._saved.add(episode.task, outcome, episode.writer)

    def stop(self, outcome: str = "", note: str = "") -> EpisodeSummary:
        """End the episode and wait until its bag is complete; `tend` will still tell of it."""
        summary = self.end(outcome, note).summary()
        self._saved.collect()
        return summary

    def discard(self) -> Path:
        """End the episode, delete what was written and return where it would have been."""
        episode = self._recording("discard")
        episode.writer.discard()
        self._open, self._discarded = None, episode.task
        self._listening.forget_the_last_seconds()
        return episode.path

    def redo(self, now_ns: int) -> Path:
        """Discard the episode, or set the last one aside, and start the same task again.

        Raises:
            RecordingError: there was none, or it can't be started or set aside; see `start`.
        """
        if self._open is not None:
            self.discard()
        task = self._discarded or self._saved.last_task()
        self._place(task)  # before a good episode is set aside
        if not self._discarded:
            self._saved.set_last_aside()
        operator, note = self._asked
        return self.start(task, now_ns, operator=operator, note=note)

    def tend(self) -> list[EpisodeSummary]:
        """Return the episodes that are complete since the last call; end one that the disk takes no more of.

        `failure` then says why, and why a bag could not be completed.
        """
        if self._open is not None and (trouble := self._open.trouble):
            self.failure = trouble.why
            self.end("", f"ended as the disk {trouble.how}: {trouble.why}")
        ended = self._saved.completed()
        if errors := [summary.error for summary in ended if summary.error]:
            self.failure = "; ".join(errors)
        return ended

    def settled(self, wait_s: float) -> bool:
        """Return whether no episode is being completed; else that waits for one, at most so long."""
        return self._saved.settled(wait_s)

    def finish(self) -> None:
        """Wait until all ended episodes are complete."""
        self._saved.finish()

    def _planned(self) -> str:
        if not self.plan.next_task:
            raise RecordingError("no task was given, and the session plan has none left")
        return self.plan.next_task

    def _place(self, task: str) -> Path:
        """Return where an episode of `task` would go now; see `start` for the errors."""
        self._contract.task(task)
        if silent := self._listening.unheard if self.searching else self._listening.silent:
            maybe = "; what was started just now is still being looked for" if self.searching else ""
            raise RecordingError(f"nothing has come yet from {', '.join(silent)}{maybe}")
        check_room(self._folder, self._settings.reserve_bytes)
        return next_path(self._folder, task)

    def _recording(self, verb: str) -> OpenEpisode:
        if self._open is None:
            raise RecordingError(f"nothing to {verb}: no episode is being recorded")
        return self._open

    def _write(self, item: Item) -> None:
        assert self._open is not None
        try:
            self._open.writer.write(*item)
        except RecordingError as error:  # the disk failed: the episode's summary will say so
            self.failure = str(error)
        except DynamoError:
            # A topic that was found during the episode is recorded from the next one on.
            if item.topic not in self.topics:
                raise
