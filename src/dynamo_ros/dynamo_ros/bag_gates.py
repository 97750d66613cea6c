"""What a bag holds for the gates that listen to topics of their own: e-stop, controller, deadman."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from dynamo_policies.bags import BagInfo, RawMessage, deserialize
from dynamo_policies.contract import Contract
from dynamo_ros.core.gate_topics import GateName, GateTopic, gate_topics
from dynamo_ros.core.replay import Said

ROBOT_MSG = "xarm_msgs/msg/RobotMsg"
# The fields of xarm_ros2's message; ROS 2 itself does not ship it.
ROBOT_MSG_FIELDS = """std_msgs/Header header
int16 state
int16 mode
int16 cmdnum
int16 mt_brake
int16 mt_able
int16 err
int16 warn
float32[] angle
float32[6] pose
float32[6] offset
"""


class BagGates:
    """Tells what was said for the gates of a contract; those that the bag holds nothing for are off."""

    def __init__(self, info: BagInfo, contract: Contract) -> None:
        """Look which of the gates' topics are in the bag, with the types that they have."""
        sources = gate_topics(contract)
        self._heard = [one for one in sources if _holds(info, one)]
        missing = [one for one in sources if one not in self._heard]
        self.topics = frozenset(one.topic for one in self._heard)
        self.off = tuple(f"{one.gate} ({one.topic}, {one.type})" for one in missing)
        self.contract = _without(contract, {one.gate for one in missing})

    def said(self, raw: RawMessage) -> Iterator[Said]:
        """Yield what the message says to each gate that hears its topic.

        Raises:
            MessageError: the bytes are no message of the topic's type.
        """
        for gate, topic, _ in self._heard:
            if topic == raw.topic:
                message = deserialize(raw, _types())
                if gate == "robot_state":
                    yield Said(gate, message)
                elif gate == "deadman" and (button := self.contract.gates.deadman.button) is not None:
                    yield Said(gate, button < len(message.buttons) and message.buttons[button] == 1)
                else:
                    yield Said(gate, bool(message.data))


def _holds(info: BagInfo, source: GateTopic) -> bool:
    known = source.type in _types().types and info.types.get(source.topic) == source.type
    if not known or not info.counts[source.topic]:
        return False
    found = info.type_hashes.get(source.topic, "")
    return not found.startswith("RIHS01_") or found == _types().hash_rihs01(source.type)


def _without(contract: Contract, names: set[GateName]) -> Contract:
    off = {
        name: dataclasses.replace(getattr(contract.gates, name), topic=None)
        for name in names
        if name != "estop"  # it waits for no message
    }
    return dataclasses.replace(contract, gates=dataclasses.replace(contract.gates, **off))


@functools.cache
def _types() -> Typestore:
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg(ROBOT_MSG_FIELDS, ROBOT_MSG))
    return types
