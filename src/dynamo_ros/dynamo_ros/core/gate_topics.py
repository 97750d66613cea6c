"""The topics that gates listen to and no stream is on: recorded where they are there, heard in replay."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from dynamo_policies.contract import Contract

BOOL, JOY = "std_msgs/msg/Bool", "sensor_msgs/msg/Joy"
GateName: TypeAlias = Literal["estop", "robot_state", "deadman"]


class GateTopic(NamedTuple):
    """Where a gate hears from, and the type that can be read there."""

    gate: GateName
    topic: str
    type: str


def gate_topics(contract: Contract) -> tuple[GateTopic, ...]:
    """Return the topics of the gates that the contract has."""
    gates = contract.gates
    topics = [GateTopic("estop", gates.estop.topic, BOOL)]
    if gates.robot_state.topic is not None:
        topics.append(GateTopic("robot_state", gates.robot_state.topic, gates.robot_state.type))
    if gates.deadman.topic is not None:
        kind = BOOL if gates.deadman.button is None else JOY
        topics.append(GateTopic("deadman", gates.deadman.topic, kind))
    return tuple(topics)
