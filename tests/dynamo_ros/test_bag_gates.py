"""What a bag holds for the gates, through `dynamo replay`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from bag_factory import START_NS, Raw, episode_messages, header, serialize, write_bag
from bundle_factory import write_bundle
from dynamo_policies.bags import typestore
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_ros.cli.replay import COMMAND
from dynamo_ros.core.recording import Topic

SECOND = 1_000_000_000
REPORTS, BUTTON = "/xarm/robot_states", "/deadman"
REPORT_FIELDS = (Path(__file__).parents[1] / "fakes/xarm_msgs/msg/RobotMsg.msg").read_text()


def report(error: int) -> bytes:
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg(REPORT_FIELDS, "xarm_msgs/msg/RobotMsg"))
    named = {"state": 1, "mode": 1, "cmdnum": 0, "mt_brake": 0, "mt_able": 0x7F, "err": error, "warn": 0}
    three = (np.zeros(7, np.float32), np.zeros(6, np.float32), np.zeros(6, np.float32))
    made = types.types["xarm_msgs/msg/RobotMsg"](header(0), *named.values(), *three)
    return bytes(types.serialize_cdr(made, "xarm_msgs/msg/RobotMsg"))


def every(period_ns: int, topic: str, say: Callable[[float], bytes]) -> list[Raw]:
    """Return four seconds of messages; `say` gets the seconds since the first."""
    times = range(0, 4 * SECOND, period_ns)
    return [Raw(topic, say(at_ns / 1e9), START_NS + at_ns) for at_ns in times]


def pressed(value: bool) -> bytes:
    return serialize(typestore().types["std_msgs/msg/Bool"](data=value))


def stops_of(bag: Path, contract: Contract, tmp_path: Path) -> tuple[list[str], list[str]]:
    """Replay the bag; return the kinds of its stops, and the gates without effect."""
    bundle = write_bundle(tmp_path / "bundle", contract, (0.45, 0.05, 0.3))
    words = ["replay", str(bag), "--bundle", str(bundle), "--json", str(tmp_path / "f.json")]
    assert main(words, [COMMAND]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())
    return [stop["kind"] for stop in figures["stops"]], figures["gates_without_effect"]


@pytest.fixture
def loose(contract: Contract) -> Contract:
    """A contract whose arm need not follow, with a deadman."""
    deadman = dataclasses.replace(contract.gates.deadman, topic=BUTTON, reaction="stop")
    gates = dataclasses.replace(contract.gates, deadman=deadman)
    arm = dataclasses.replace(contract.arm, tracking_stop_rad=6.0)
    return dataclasses.replace(contract, arm=arm, gates=gates)


def test_what_a_bag_has_for_the_gates_stops_as_on_the_robot(loose: Contract, tmp_path: Path) -> None:
    said = [
        *every(SECOND // 50, REPORTS, lambda at_s: report(31 if 1.0 <= at_s < 1.2 else 0)),
        *every(SECOND // 20, BUTTON, lambda at_s: pressed(not 2.0 <= at_s < 2.2)),
        *every(SECOND // 20, "/dynamo/estop", lambda at_s: pressed(3.0 <= at_s < 3.2)),
    ]
    messages = sorted([*episode_messages(loose, 4.0), *said], key=lambda raw: raw.receive_ns)
    topics = [Topic(name, "std_msgs/msg/Bool") for name in (BUTTON, "/dynamo/estop")]
    topics.append(Topic(REPORTS, "xarm_msgs/msg/RobotMsg", definition=REPORT_FIELDS))
    bag = write_bag(tmp_path / "bag", loose, messages, topics=topics)
    stops, without_effect = stops_of(bag, loose, tmp_path)
    assert list(dict.fromkeys(stops)) == ["robot_state", "deadman", "estop"]
    assert without_effect == []


def test_gates_that_a_bag_holds_nothing_for_are_named(loose: Contract, tmp_path: Path) -> None:
    other = every(SECOND // 50, REPORTS, lambda _: pressed(True))
    messages = sorted([*episode_messages(loose, 4.0), *other], key=lambda raw: raw.receive_ns)
    bag = write_bag(tmp_path / "bag", loose, messages, topics=[Topic(REPORTS, "std_msgs/msg/Bool")])
    stops, without_effect = stops_of(bag, loose, tmp_path)
    assert stops == []
    assert without_effect == [
        "estop (/dynamo/estop, std_msgs/msg/Bool)",
        "robot_state (/xarm/robot_states, xarm_msgs/msg/RobotMsg)",
        "deadman (/deadman, std_msgs/msg/Bool)",
    ]
