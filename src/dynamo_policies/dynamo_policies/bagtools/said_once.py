"""What was said once in a bag and still holds later: a gripper's state, `/tf_static` and the like."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from rosbags.interfaces import QosDurability

from dynamo_policies.bag_copy import CopiedMessage, qos_profiles
from dynamo_policies.cdr import cdr_string
from dynamo_policies.contract import Contract
from dynamo_policies.streams import JointStream, Stream

# A topic that the contract does not name may have several publishers, each with a last word of its own.
LARGEST = 64


class SaidOnce:
    """Keeps the last message of each stream that never goes stale, and the distinct ones of latched topics.

    Of a topic on which more is said than is kept, the newest message alone holds: it is a stream.
    """

    def __init__(self, contract: Contract) -> None:
        self._lasting = {name: one for name, one in contract.streams.items() if one.max_age_ms is None}
        self._contracted = {stream.topic for stream in contract.streams.values()}
        self._most = dict.fromkeys(self._lasting, 1)  # by stream, else by topic
        self._said: dict[str, dict[tuple[int, bytes], CopiedMessage]] = {}

    def saw(self, message: CopiedMessage) -> bool:
        """Take note of a message; return whether it is news, not what is known repeated."""
        news = [self._keep(place, message) for place in self._places(message)]
        return all(news)

    def again(self, receive_ns: int) -> list[CopiedMessage]:
        """Return what holds, received anew at `receive_ns`."""
        held = {id(one): one for said in self._said.values() for one in said.values()}
        return [one._replace(receive_ns=receive_ns) for one in held.values()]

    def _places(self, message: CopiedMessage) -> Iterator[str]:
        topic = message.channel.topic
        if topic not in self._contracted:
            if _is_latched(message.channel.qos):
                yield topic
            return
        for name, stream in self._lasting.items():
            if stream.topic == topic and _concerns(stream, bytes(message.data)):
                yield name

    def _keep(self, place: str, message: CopiedMessage) -> bool:
        said, key = self._said.setdefault(place, {}), (message.publish_ns, bytes(message.data))
        if key in said:
            return False
        if len(said) >= self._most.get(place, LARGEST):
            self._most[place] = 1
            said.clear()
        said[key] = message
        return True


@functools.lru_cache(maxsize=256)
def _is_latched(qos: str) -> bool:
    return any(profile.durability is QosDurability.TRANSIENT_LOCAL for profile in qos_profiles(qos))


def _concerns(stream: Stream, cdr: bytes) -> bool:
    """Return whether the joints of `stream` are named in the message; other streams own their topic."""
    return not isinstance(stream, JointStream) or all(cdr_string(joint) in cdr for joint in stream.joints)
