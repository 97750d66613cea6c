"""Raw messages of one episode into one bag, without decoding any; drops are counted, never silent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from dynamo_policies.contract import Contract
from dynamo_policies.episode_quality import QualityMeter
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.verdict import KEY, Reason, Verdict, judge, to_json
from dynamo_ros.core.bag_files import Item
from dynamo_ros.core.bag_topics import RecordingError, Topic
from dynamo_ros.core.bag_writer import BagWriter
from dynamo_ros.core.episode_summary import EpisodeSummary, check_outcome
from dynamo_ros.core.provenance import software_versions
from dynamo_ros.core.storage_settings import StorageSettings
from dynamo_ros.core.stored_topics import described, jpegs_of, resolved, stored_as

__all__ = ["EpisodeSummary", "EpisodeWriter", "Item", "RecordingError", "Topic", "topics_of"]


def topics_of(contract: Contract) -> tuple[Topic, ...]:
    """Return the topics that the contract's streams are on, each once."""
    streams = {stream.topic: stream for stream in contract.streams.values()}
    return tuple(
        Topic(stream.topic, stream.type, stream.reliability, stream.depth) for stream in streams.values()
    )


class EpisodeWriter:
    """Writes one episode. `write` never waits: a message that finds the queue full is counted as dropped.

    The methods are for one thread at a time; the disk is written by another.
    """

    def __init__(
        self,
        path: Path,
        contract: Contract,
        task: str,
        topics: Sequence[Topic] = (),
        *,
        operator: str = "",
        note: str = "",
        versions: Mapping[str, str] | None = None,
        origin: Mapping[str, str] | None = None,
        settings: StorageSettings | None = None,
    ) -> None:
        """Open the bag `path` for an attempt at `task`: the contract's topics, and `topics` besides.

        One of `topics` that the contract has too replaces it. `origin` is further text for the bag's custom
        data.

        Raises:
            RecordingError: `path` exists, can't be made, or a type is not known.
            UnknownNameError: the contract has no such task.
        """
        settings = resolved(settings or StorageSettings(), contract)
        self._topics = {topic.name: topic for topic in (*topics_of(contract), *topics)}
        jpegs = jpegs_of(contract, settings)
        self._custom = {
            "task": task,
            "prompt": contract.task(task).prompt,
            "operator": operator,
            "note": note,
            "contract": contract.to_yaml(),
            "contract_hash": contract.hash,
            "versions": json.dumps({**software_versions(), **(versions or {})}),
            "images": described(contract, settings),
            **(origin or {}),
        }
        self._dropped: Counter[str] = Counter()
        self._first_ns: int | None = None
        self._last_ns = 0
        self._outcome = "unknown"
        self._contract, self._meter = contract, QualityMeter(contract)
        self._verdict: Verdict | None = None
        stored = [stored_as(topic, jpegs) for topic in self._topics.values()]
        self._bag = BagWriter(Path(path), stored, settings, self._custom, jpegs=jpegs)

    @property
    def messages(self) -> int:
        """Messages accepted so far."""
        return self._bag.accepted

    @property
    def dropped(self) -> int:
        """Messages published or received but not written so far."""
        return self._dropped.total() + self._bag.pen.refused.total()

    @property
    def payload_bytes(self) -> int:
        """Bytes of the messages accepted so far."""
        return self._bag.accepted_bytes

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the messages that wait for the disk."""
        return self._bag.waiting_bytes

    @property
    def written_bytes(self) -> int:
        """Bytes of the messages written so far."""
        return self._bag.pen.written_bytes

    @property
    def seconds(self) -> float:
        """Time from the first message to the last so far."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    @property
    def full(self) -> str:
        """Why the episode should end now, as the disk has little room left; else empty."""
        return self._bag.full

    @property
    def error(self) -> str:
        """Why nothing more can be written, else empty."""
        return self._bag.error

    @property
    def done(self) -> bool:
        """Whether the bag is complete, or has failed."""
        return self._bag.done.is_set()

    def write(self, topic: str, data: bytes, receive_ns: int, publish_ns: int = 0) -> bool:
        """Queue the CDR bytes of a message on `topic`; False if it was dropped because the disk lags behind.

        `publish_ns` is when it was sent, 0 where that is not known.

        Raises:
            RecordingError: the disk failed; close the episode to keep what was written.
            UnknownNameError: `topic` is none of the episode's.
        """
        if topic not in self._topics:
            raise UnknownNameError("topic", topic, self._topics)
        if self._bag.error:
            self._dropped[topic] += 1
            raise RecordingError(self._bag.error)
        if not self._bag.put(Item(topic, data, receive_ns, publish_ns)):
            self._dropped[topic] += 1
            return False
        self._first_ns = receive_ns if self._first_ns is None else min(self._first_ns, receive_ns)
        self._last_ns = max(self._last_ns, receive_ns)
        self._meter.add(topic, data, receive_ns)
        return True

    def lost(self, topic: str, count: int) -> None:
        """Count messages of `topic` that were published and never arrived here as dropped."""
        if count:
            self._dropped[topic] += count

    def end(self, outcome: str, note: str = "") -> None:
        """Take no more messages; the bag is completed behind the scenes, until `done`.

        `note` is appended to the one given at the start.

        Raises:
            UnknownNameError: `outcome` is not success, failure or unknown.
        """
        check_outcome(outcome)
        self._outcome = outcome
        self._bag.end(partial(self._ending, note))

    def wait(self, seconds: float) -> None:
        """Wait until the bag is complete or has failed, at most so long."""
        self._bag.done.wait(seconds)

    def summary(self) -> EpisodeSummary:
        """Wait until the bag is in its place, after `end`, and say what is in it.

        A disk that failed is told in the summary's `error`.
        """
        bag, (path, error) = self._bag, self._bag.wait()
        return EpisodeSummary(
            path,
            bag.pen.written,
            self._dropped.total() + bag.accepted - bag.pen.written,
            bag.pen.written_bytes,
            self.seconds,
            error,
            self._outcome,
            self._verdict,
        )

    def close(self, outcome: str, note: str = "") -> EpisodeSummary:
        """`end` and `summary` in one."""
        self.end(outcome, note)
        return self.summary()

    def discard(self) -> None:
        """Stop and delete what was written."""
        self._bag.discard()

    def _ending(self, note: str) -> dict[str, str]:
        """Return the custom data of the whole episode; the writing thread asks when all is written."""
        quality = self._meter.report()
        verdict = judge(self._contract, quality, self._dropped)
        if refused := tuple(self._refused()):
            verdict = Verdict("red", (*refused, *verdict.reasons))
        self._verdict = verdict
        return {
            **self._custom,
            "outcome": self._outcome,
            "note": "; ".join(text for text in (self._custom["note"], note) if text),
            "dropped": json.dumps(dict(self._dropped + self._bag.pen.refused)),
            "started_ns": str(self._first_ns or 0),
            KEY: to_json(verdict, quality),
        }

    def _refused(self) -> Iterator[Reason]:
        for name, stream in self._contract.cameras.items():
            if count := self._bag.pen.refused[stream.topic]:
                yield Reason("red", name, f"{count} images were not stored: {self._bag.pen.refusal}")
