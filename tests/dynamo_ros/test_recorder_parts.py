from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from dynamo_policies.contract import Contract
from dynamo_ros.core.bag_topics import RecordingError, Topic
from dynamo_ros.core.gaps import SequenceGaps
from dynamo_ros.core.heard import Heard
from dynamo_ros.core.latched import LARGEST, Latched
from dynamo_ros.core.listening import Listening
from dynamo_ros.core.provenance import LARGEST_CALIBRATION, provenance
from dynamo_ros.core.recording import Item

STORE = get_typestore(Stores.ROS2_JAZZY)
TOPIC = "/xarm/joint_states"


def joint_state(*names: str) -> bytes:
    types = STORE.types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "")
    values = np.zeros(len(names))
    message = types["sensor_msgs/msg/JointState"](header, list(names), values, values, values)
    return bytes(STORE.serialize_cdr(message, "sensor_msgs/msg/JointState"))


def test_the_last_gripper_message_is_kept_although_arm_messages_follow(contract: Contract) -> None:
    heard = Heard(contract)
    gripper = joint_state("drive_joint", "left_finger_joint")
    heard.saw(TOPIC, joint_state("drive_joint", "older"))
    heard.saw(TOPIC, gripper)
    heard.saw(TOPIC, joint_state(*contract.arm.joints))
    assert [message.cdr for message in heard.latched] == [gripper]


def test_a_joint_whose_name_only_contains_the_streams_is_not_it(contract: Contract) -> None:
    heard = Heard(contract)
    heard.saw(TOPIC, joint_state("left_drive_joint", "drive_joint_2"))
    assert heard.latched == ()


def test_streams_that_their_driver_repeats_are_not_kept(contract: Contract) -> None:
    heard = Heard(contract)
    heard.saw("/fixed/camera/color/image_raw", b"image")
    assert heard.latched == ()


def test_missing_sequence_numbers_are_counted() -> None:
    gaps = SequenceGaps()
    assert [gaps.missing(number) for number in (7, 8, 11, 12)] == [0, 0, 2, 0]


def test_a_publisher_that_starts_anew_has_lost_nothing() -> None:
    gaps = SequenceGaps()
    assert [gaps.missing(number) for number in (1000, 1, 2)] == [0, 0, 0]


@pytest.mark.parametrize(
    "ahead", [[500, 1, 501, 2, 502, 3], [500, 9000, 501, 9001, 502], [500, 501, 1, 502, 503]]
)
def test_two_publishers_in_turn_have_lost_nothing(ahead: list[int]) -> None:
    gaps = SequenceGaps()
    assert [gaps.missing(number) for number in ahead] == [0] * len(ahead)


def test_a_publisher_that_started_anew_can_lose_messages_again() -> None:
    gaps = SequenceGaps()
    assert [gaps.missing(number) for number in (5, 1, 2, 4, 5, 6, 8)] == [0, 0, 0, 1, 0, 0, 1]


def test_of_a_latched_topic_that_is_a_stream_the_newest_message_alone_is_said_again() -> None:
    latched = Latched(["/map"])
    items = [Item("/map", bytes([number]), number) for number in range(LARGEST + 5)]
    for item in items[:LARGEST]:
        latched.saw(item)
    assert latched.items == items[:LARGEST]
    for item in items[LARGEST:]:
        latched.saw(item)
    assert latched.items == items[-1:]


def test_streams_that_go_stale_are_not_said_again_although_they_are_latched(contract: Contract) -> None:
    topic = contract.streams["wrist"].topic
    latched = [
        Topic(topic, "sensor_msgs/msg/Image", latched=True),
        Topic("/tf_static", "a/msg/B", latched=True),
    ]
    listening = Listening(contract, latched, preroll_s=0.0, preroll_bytes=0)
    for name in (topic, "/tf_static"):
        listening.saw(Item(name, b"image", 1), None)
    assert [item.topic for item in listening.beginning(2)] == ["/tf_static"]


def test_calibration_files_are_bounded_together_as_a_bag_holds_them(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.yaml" for number in range(4)]
    for file in files:
        file.write_text("\n" * (LARGEST_CALIBRATION // 6))  # two characters each as JSON
    names = [str(file) for file in files]
    assert provenance(robot_serial="", calibration=names[:2], source=tmp_path)["calibration"]
    with pytest.raises(RecordingError, match=r"3\.yaml make \d+ bytes of JSON; at most 1048576 are stored"):
        provenance(robot_serial="", calibration=names, source=tmp_path)
