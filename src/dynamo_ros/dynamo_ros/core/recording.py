"""Raw messages of one episode into one bag, without decoding any; drops are counted, never silent."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from dynamo_policies.contract import Contract
from dynamo_policies.errors import UnknownNameError
from dynamo_ros.core.bag_writer import BagWriter, Item, RecordingError, Topic

__all__ = ["EpisodeSummary", "EpisodeWriter", "RecordingError", "Topic", "topics_of"]

QUEUE_BYTES = 256 << 20
OUTCOMES = ("success", "failure", "unknown")


class EpisodeSummary(NamedTuple):
    """What became of an episode. Where `error` is not empty, `path` holds what was written before it."""

    path: Path
    messages: int
    dropped: int
    bytes: int  # payload
    seconds: float  # from the first message to the last
    error: str


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
        path: Path | str,
        contract: Contract,
        task: str,
        topics: Sequence[Topic] = (),
        *,
        operator: str = "",
        note: str = "",
        versions: Mapping[str, str] | None = None,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        """Open the bag `path` for an attempt at `task`: the contract's topics, and `topics` besides.

        Raises:
            RecordingError: `path` exists, can't be made, or a type is not known.
            UnknownNameError: the contract has no such task.
        """
        self._topics = {topic.name: topic for topic in (*topics_of(contract), *topics)}
        self._custom = {
            "task": task,
            "prompt": contract.task(task).prompt,
            "operator": operator,
            "note": note,
            "contract": contract.to_yaml(),
            "contract_hash": contract.hash,
            "versions": json.dumps({**_own_versions(), **(versions or {})}),
        }
        self._dropped: Counter[str] = Counter()
        self._first_ns: int | None = None
        self._last_ns = 0
        self._bag = BagWriter(Path(path), tuple(self._topics.values()), queue_bytes, self._custom)

    @property
    def messages(self) -> int:
        """Messages accepted so far."""
        return self._bag.accepted

    @property
    def dropped(self) -> int:
        """Messages published or received but not written so far."""
        return self._dropped.total()

    @property
    def payload_bytes(self) -> int:
        """Bytes of the messages accepted so far."""
        return self._bag.accepted_bytes

    @property
    def seconds(self) -> float:
        """Time from the first message to the last so far."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    def write(self, topic: str, data: bytes, receive_ns: int) -> bool:
        """Queue the CDR bytes of a message on `topic`; False if it was dropped because the disk lags behind.

        Raises:
            RecordingError: the disk failed; close the episode to keep what was written.
            UnknownNameError: `topic` is none of the episode's.
        """
        if topic not in self._topics:
            raise UnknownNameError("topic", topic, self._topics)
        if self._bag.error:
            self._dropped[topic] += 1
            raise RecordingError(self._bag.error)
        if not self._bag.put(Item(topic, data, receive_ns)):
            self._dropped[topic] += 1
            return False
        self._first_ns = receive_ns if self._first_ns is None else min(self._first_ns, receive_ns)
        self._last_ns = max(self._last_ns, receive_ns)
        return True

    def lost(self, topic: str, count: int) -> None:
        """Count messages of `topic` that were published and never arrived here as dropped."""
        if count:
            self._dropped[topic] += count

    def close(self, outcome: str, note: str = "") -> EpisodeSummary:
        """Write what is queued, sync, put the bag in its place and say what is in it.

        `note` is appended to the one given at the start. A disk that failed is told in the summary's `error`.

        Raises:
            UnknownNameError: `outcome` is not success, failure or unknown.
        """
        if outcome not in OUTCOMES:
            raise UnknownNameError("outcome", outcome, OUTCOMES)
        ending = {
            "outcome": outcome,
            "note": "; ".join(text for text in (self._custom["note"], note) if text),
            "dropped": json.dumps(dict(self._dropped)),
            "started_ns": str(self._first_ns or 0),
        }
        path = self._bag.finish({**self._custom, **ending})
        lost = self._bag.accepted - self._bag.written
        return EpisodeSummary(
            path,
            self._bag.written,
            self.dropped + lost,
            self._bag.written_bytes,
            self.seconds,
            self._bag.error,
        )

    def discard(self) -> None:
        """Stop and delete what was written."""
        self._bag.discard()


def _own_versions() -> dict[str, str]:
    return {"python": platform.python_version(), "rosbags": version("rosbags")}
