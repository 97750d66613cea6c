"""What was said once in a bag and still holds later: a gripper's state, `/tf_static` and the like."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from rosbags.interfaces import QosDurability

from dynamo_policies.bag_copy import CopiedMessage, qos_profiles
from dynamo_policies.cdr import has_all_of
from dynamo_policies.contract import Contract
from dynamo_policies.last_words import LastWords


class SaidOnce:
    """Keeps the last message of each stream that never goes stale, and the `LastWords` of latched topics."""

    def __init__(self, contract: Contract) -> None:
        self._lasting = {name: one for name, one in contract.streams.items() if one.max_age_ms is None}
        self._contracted = {stream.topic for stream in contract.streams.values()}
        self._said = {name: LastWords[CopiedMessage]("", most=1) for name in self._lasting}

    def saw(self, message: CopiedMessage) -> bool:
        """Take note of a message; return whether it is news, not what is known repeated."""
        news = [self._keep(place, message) for place in self._places(message)]
        return all(news)

    def again(self, receive_ns: int) -> list[CopiedMessage]:
        """Return what holds, received anew at `receive_ns`."""
        held = {id(one): one for said in self._said.values() for one in said.words}
        return [one._replace(receive_ns=receive_ns) for one in held.values()]

    def _places(self, message: CopiedMessage) -> Iterator[str]:
        topic = message.channel.topic
        if topic not in self._contracted:
            if _is_latched(message.channel.qos):
                yield topic
            return
        for name, stream in self._lasting.items():
            if stream.topic == topic and has_all_of(stream, message.data):
                yield name

    def _keep(self, place: str, message: CopiedMessage) -> bool:
        said, content = self._words_of(place), (message.publish_ns, bytes(message.data))
        if content in said:
            return False
        said.add(content, message)
        return True

    def _words_of(self, place: str) -> LastWords[CopiedMessage]:
        if place not in self._said:
            self._said[place] = LastWords(place)
        return self._said[place]


@functools.lru_cache(maxsize=256)
def _is_latched(qos: str) -> bool:
    return any(profile.durability is QosDurability.TRANSIENT_LOCAL for profile in qos_profiles(qos))
