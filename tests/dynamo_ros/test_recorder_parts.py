from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from dynamo_policies.contract import Contract
from dynamo_policies.last_words import LARGEST, LARGEST_STATIC
from dynamo_ros.core.bag_topics import RecordingError, Topic
from dynamo_ros.core.gaps import SequenceGaps
from dynamo_ros.core.heard import Heard
from dynamo_ros.core.latched import Latched
from dynamo_ros.core.listening import Listening
from dynamo_ros.core.preroll import PreRoll
from dynamo_ros.core.provenance import LARGEST_CALIBRATION, provenance
from dynamo_ros.core.recording import Item

STORE = get_typestore(Stores.ROS2_JAZZY)
TOPIC = "/xarm/joint_states"
MS, S = 1_000_000, 1_000_000_000


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


def missing(*numbers: int) -> list[int]:
    """Return what is missing before each, with a message a millisecond."""
    gaps = SequenceGaps()
    return [gaps.missing(number, MS * index) for index, number in enumerate(numbers)]


def test_missing_sequence_numbers_are_counted() -> None:
    assert missing(7, 8, 11, 12) == [0, 0, 2, 0]


@pytest.mark.parametrize("set_back_ns", [0, 1000 * S])
def test_a_fast_topic_that_was_held_up_has_lost_thousands(set_back_ns: int) -> None:
    gaps, until_ns = SequenceGaps(), S
    for number in range(1, 1001):
        gaps.missing(number, set_back_ns + number * MS)
    if set_back_ns:
        until_ns = 2 * S
        assert [gaps.missing(number, number * MS) for number in range(1001, 2001)] == [0] * 1000
    number = until_ns // MS
    assert gaps.missing(number + 1501, until_ns + 1500 * MS) == 1500


def test_numbers_that_jump_farther_than_time_allows_are_another_publishers() -> None:
    assert missing(*range(100), 9000, 9001, 9003) == [0] * 102 + [1]


def test_a_publisher_that_starts_anew_has_lost_nothing() -> None:
    assert missing(1000, 1, 2) == [0, 0, 0]


@pytest.mark.parametrize(
    "ahead", [[500, 1, 501, 2, 502, 3], [500, 9000, 501, 9001, 502], [500, 501, 1, 502, 503]]
)
def test_two_publishers_in_turn_have_lost_nothing(ahead: list[int]) -> None:
    assert missing(*ahead) == [0] * len(ahead)


def test_a_publisher_that_started_anew_can_lose_messages_again() -> None:
    assert missing(5, 1, 2, 4, 5, 6, 8) == [0, 0, 0, 1, 0, 0, 1]


def test_a_pre_roll_that_let_go_of_nothing_lacks_nothing_when_time_begins() -> None:
    ring = PreRoll(1.0, limit_bytes=100)
    assert ring.lacking_s(S // 10) == 0.0
    ring.push(Item("/a", bytes(10), S // 20))
    assert ring.lacking_s(S // 10) == 0.0


def test_a_pre_roll_lacks_no_more_than_its_span_when_time_is_set_back() -> None:
    ring = PreRoll(1.0, limit_bytes=100)
    for index in range(20):
        ring.push(Item("/a", bytes(10), 500 * S + index * MS))
    assert ring.lacking_s(501 * S) == pytest.approx(0.009)
    assert ring.lacking_s(2 * S) == 1.0


def test_of_a_latched_topic_that_is_a_stream_the_newest_message_alone_is_said_again() -> None:
    latched = Latched(["/map"])
    items = [Item("/map", bytes([number]), number) for number in range(LARGEST + 5)]
    for item in items[:LARGEST]:
        latched.saw(item)
    assert latched.items == items[:LARGEST]
    for item in items[LARGEST:]:
        latched.saw(item)
    assert latched.items == items[-1:]


@pytest.mark.parametrize("topic", ["/tf_static", "/left/tf_static"])
def test_static_transforms_of_many_broadcasters_are_all_said_again(topic: str) -> None:
    latched = Latched([topic])
    items = [Item(topic, str(number).encode(), number) for number in range(LARGEST_STATIC + 5)]
    for item in items[: 2 * LARGEST]:
        latched.saw(item)
    assert latched.items == items[: 2 * LARGEST]
    for item in items[2 * LARGEST :]:
        latched.saw(item)
    assert latched.items == items[5:]


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


ESTOP = "/dynamo/estop"


@pytest.mark.parametrize("latched", [False, True])
def test_an_episode_begins_with_how_the_estop_is_and_not_with_how_it_was(
    contract: Contract, latched: bool
) -> None:
    listening = Listening(contract, (), preroll_s=0.0, preroll_bytes=0)
    listening.listen([Topic(ESTOP, "std_msgs/msg/Bool", latched=latched)])
    for number, pressed in enumerate((b"false", b"true", b"false")):
        listening.saw(Item(ESTOP, pressed, number), None)
    listening.listen([Topic(ESTOP, "std_msgs/msg/Bool", latched=latched)])  # as before each start
    assert listening.beginning(10) == [Item(ESTOP, b"false", 10)]


def test_nothing_is_said_again_of_an_estop_that_never_spoke(contract: Contract) -> None:
    estop = Topic(ESTOP, "std_msgs/msg/Bool")
    assert Listening(contract, [estop], preroll_s=0.0, preroll_bytes=0).beginning(10) == []


def test_a_controllers_reports_are_not_said_again(contract: Contract) -> None:
    topic = str(contract.gates.robot_state.topic)
    listening = Listening(contract, [Topic(topic, "a/msg/B")], preroll_s=0.0, preroll_bytes=0)
    listening.saw(Item(topic, b"report", 1), None)
    assert listening.beginning(10) == []


def test_calibration_files_are_bounded_together_as_a_bag_holds_them(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.yaml" for number in range(4)]
    for file in files:
        file.write_text("\n" * (LARGEST_CALIBRATION // 6))  # two characters each as JSON
    names = [str(file) for file in files]
    assert provenance(robot_serial="", calibration=names[:2], source=tmp_path)["calibration"]
    with pytest.raises(RecordingError, match=r"3\.yaml make \d+ bytes of JSON; at most 1048576 are stored"):
        provenance(robot_serial="", calibration=names, source=tmp_path)
