"""What was said once and holds."""

import pytest
import yaml
from rosbags.rosbag2.metadata import dump_qos_v9

from dynamo_policies.bag_copy import CopiedMessage
from dynamo_policies.bagtools.said_once import SaidOnce
from dynamo_policies.contract import Contract
from dynamo_policies.last_words import LARGEST, LARGEST_STATIC, LastWords
from dynamo_policies.mcap import Channel, Schema
from dynamo_ros.core.bag_topics import qos


def test_what_is_repeated_is_kept_once() -> None:
    said = LastWords[str]("/robot_description")
    for number in range(3 * LARGEST):
        said.add(number % 2, f"{number}")
    assert list(said.words) == [str(3 * LARGEST - 2), str(3 * LARGEST - 1)]


def test_of_static_transforms_the_newest_are_kept() -> None:
    said = LastWords[int]("/tf_static")
    for number in range(LARGEST_STATIC + 3):
        said.add(number, number)
    assert list(said.words) == list(range(3, LARGEST_STATIC + 3))
    assert (2 in said, 3 in said) == (False, True)


@pytest.mark.parametrize(("topic", "kept"), [("/tf_static", LARGEST + 6), ("/map", 1)])
def test_transforms_of_many_broadcasters_hold_in_each_part_of_a_bag(
    contract: Contract, topic: str, kept: int
) -> None:
    schema = Schema("std_msgs/msg/String", "ros2msg", "string data")
    profiles = yaml.safe_dump(dump_qos_v9([qos("reliable", 1, latched=True)]))
    channel = Channel(0, topic, schema, "cdr", profiles)
    said = SaidOnce(contract)
    for number in range(LARGEST + 6):
        assert said.saw(CopiedMessage(channel, 5, 5, 0, str(number).encode()))
    again = said.again(9)
    assert [one.data for one in again] == [str(number).encode() for number in range(LARGEST + 6)][-kept:]
    assert {one.receive_ns for one in again} == {9}
