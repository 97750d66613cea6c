"""What has been heard of each stream, and the last messages of those that their driver does not repeat."""

from __future__ import annotations

from typing import NamedTuple

from dynamo_policies.cdr import has_all_of
from dynamo_policies.contract import Contract


class Message(NamedTuple):
    """A message as it came: the topic and its CDR bytes."""

    topic: str
    cdr: bytes


class Heard:
    """Knows which streams have spoken, and the newest message of each whose last value holds for ever.

    Those are the streams with a `max_age_ms` of None: a gripper that speaks only while it moves would else be
    missing from a bag that starts between two motions.
    """

    def __init__(self, contract: Contract) -> None:
        self._streams = contract.streams
        self._observed = tuple(contract.observed)
        self._last: dict[str, Message] = {}
        self._spoken: set[str] = set()

    def saw(self, topic: str, cdr: bytes) -> None:
        """Take note of a message."""
        for name, stream in self._streams.items():
            latched = stream.max_age_ns is None
            if stream.topic == topic and (latched or name not in self._spoken) and has_all_of(stream, cdr):
                self._spoken.add(name)
                if latched:
                    self._last[name] = Message(topic, cdr)

    @property
    def silent(self) -> tuple[str, ...]:
        """The observed streams that have not spoken yet, each with its topic."""
        return tuple(map(self._named, (name for name in self._observed if name not in self._spoken)))

    @property
    def unheard(self) -> tuple[str, ...]:
        """The streams of any role that have not spoken yet, each with its topic."""
        return tuple(map(self._named, (name for name in self._streams if name not in self._spoken)))

    @property
    def latched(self) -> tuple[Message, ...]:
        """The newest message of each stream whose last value holds, each message once."""
        return tuple(dict.fromkeys(self._last.values()))

    def _named(self, stream: str) -> str:
        return f"{stream} ({self._streams[stream].topic})"
