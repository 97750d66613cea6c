import numpy as np
from rosbags.typesys import Stores, get_typestore

from dynamo_policies.contract import Contract
from dynamo_ros.core.gaps import SequenceGaps
from dynamo_ros.core.heard import Heard

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
