"""Which topics the gates of a contract listen to, and that they are no streams of an episode."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bag_factory import episode_messages
from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract
from dynamo_policies.verdict import KEY, parse_verdict
from dynamo_ros.core.gate_topics import GateTopic, gate_topics
from dynamo_ros.core.recording import EpisodeWriter, Topic

ESTOP = GateTopic("estop", "/dynamo/estop", "std_msgs/msg/Bool")
STATES = GateTopic("robot_state", "/xarm/robot_states", "xarm_msgs/msg/RobotMsg")


def with_deadman(contract: Contract, *, button: int | None) -> Contract:
    deadman = dataclasses.replace(contract.gates.deadman, topic="/deadman", button=button)
    return dataclasses.replace(contract, gates=dataclasses.replace(contract.gates, deadman=deadman))


def test_a_deadman_is_listened_to_where_the_contract_has_one(contract: Contract) -> None:
    assert gate_topics(contract) == (ESTOP, STATES)
    held = GateTopic("deadman", "/deadman", "std_msgs/msg/Bool")
    assert gate_topics(with_deadman(contract, button=None)) == (ESTOP, STATES, held)
    pad = GateTopic("deadman", "/deadman", "sensor_msgs/msg/Joy")
    assert gate_topics(with_deadman(contract, button=4)) == (ESTOP, STATES, pad)


def test_a_contract_that_asks_no_controller_has_the_estop_alone(contract: Contract) -> None:
    silent = dataclasses.replace(contract.gates.robot_state, topic=None)
    gates = dataclasses.replace(contract.gates, robot_state=silent)
    assert gate_topics(dataclasses.replace(contract, gates=gates)) == (ESTOP,)


def test_what_gates_listen_to_counts_in_no_verdict(contract: Contract, tmp_path: Path) -> None:
    verdicts = []
    for name, said in (("without", []), ("silent", []), ("lost", [b"\0\1\0\0\1"])):
        topics = [] if name == "without" else [Topic(ESTOP.topic, ESTOP.type)]
        writer = EpisodeWriter(tmp_path / name, contract, "put_yogurt", topics)
        for raw in episode_messages(contract, 2.0):
            writer.write(*raw)
        for data in said:
            writer.write(ESTOP.topic, data, 10**18)  # years later
            writer.lost(ESTOP.topic, 100)
        info = read_info(writer.close("success").path)
        assert info.counts.get(ESTOP.topic, 0) == len(said)
        verdicts.append(parse_verdict(info.custom[KEY]))
    assert verdicts[0] == verdicts[1] == verdicts[2]
