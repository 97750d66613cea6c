"""The Allegro station over DDS: the topics and rates of the real drivers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_interfaces.msg import Outcome
from dynamo_interfaces.srv import ResetStation
from geometry_msgs.msg import PoseArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray

from dynamo_policies.contract import load_contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_ros.nodes.messages import to_ns
from dynamo_sim.allegro_manipulation.starts import INITIAL_HAND_RAD
from dynamo_sim.nodes.station_node import StationNode
from ros_fixtures import Ros

ALLEGRO = load_contract(Path(__file__).parents[2] / "config" / "robots" / "allegro_manipulation.yaml")
SINK = ALLEGRO.need_hand("these tests")


@pytest.fixture
def heard(ros: Ros) -> dict[str, list]:
    node = ros.node("listener")
    heard: dict[str, list] = {}
    for topic, kind in {
        "/joint_states": JointState,
        "/xarm/joint_states": JointState,
        "/fixed/camera/color/image_raw": Image,
        "/fixed/camera/color/camera_info": CameraInfo,
        "/station/objects": PoseArray,
        "/station/outcome": Outcome,
    }.items():
        node.create_subscription(kind, topic, heard.setdefault(topic, []).append, 300)
    return heard


@pytest.fixture
def station(ros: Ros, heard: dict[str, list]) -> StationNode:
    parameters = [Parameter("contract", value="allegro_manipulation"), Parameter("rtf", value=0.0)]
    return ros.add(StationNode(parameters))


def span_s(messages: list) -> float:
    return (to_ns(messages[-1].header.stamp) - to_ns(messages[0].header.stamp)) / 1e9


def test_the_station_speaks_as_the_drivers_do(ros: Ros, station: StationNode, heard: dict[str, list]) -> None:
    ros.until(lambda: len(heard["/joint_states"]) > 100, what="a second of the hand's joints")
    decoder = Decoder(ALLEGRO, FrameSettings())
    for name, topic, rate_hz in (("hand", "/joint_states", 100.0), ("arm", "/xarm/joint_states", 100.0)):
        messages = heard[topic]
        assert (len(messages) - 1) / span_s(messages) == pytest.approx(rate_hz, rel=0.02)
        assert decoder.decode(name, messages[-1], 0) is not None
    hand = heard["/joint_states"][-1]
    assert tuple(hand.name) == SINK.joints
    assert len(hand.velocity) == len(hand.effort) == 16
    assert decoder.decode("arm", hand, 0) is None
    ros.until(lambda: heard["/fixed/camera/color/image_raw"], what="a picture")
    assert decoder.decode("fixed", heard["/fixed/camera/color/image_raw"][0], 0) is not None
    ros.until(lambda: heard["/station/objects"], what="objects")
    assert len(heard["/station/objects"][0].poses) == 2
    assert heard["/station/outcome"][0].task == "pick_sponge"


def test_commands_count_by_place_and_a_wrong_number_of_them_is_refused(
    ros: Ros, station: StationNode, heard: dict[str, list]
) -> None:
    node = ros.node("commander")
    commands = node.create_publisher(Float64MultiArray, SINK.topic, 10)
    ros.until(lambda: commands.get_subscription_count() and heard["/joint_states"])
    wanted = INITIAL_HAND_RAD.copy()
    wanted[SINK.joints.index("ah_joint21")] = 0.8
    commands.publish(Float64MultiArray(data=[0.9] * 12))
    commands.publish(Float64MultiArray(data=wanted.tolist()))
    ros.until(
        lambda: np.abs(np.array(heard["/joint_states"][-1].position) - wanted).max() < 0.03,
        what="the middle finger bent and nothing else",
    )


def test_a_reset_puts_the_hand_back_and_takes_no_gripper(
    ros: Ros, station: StationNode, heard: dict[str, list]
) -> None:
    ros.until(lambda: heard["/joint_states"])
    request = ResetStation.Request(task="pick_sponge", seed=3)
    assert ros.call(ros.node("resetter"), ResetStation, "/station/reset", request).success
    refused = ros.call(
        ros.node("other"), ResetStation, "/station/reset", ResetStation.Request(task="put_yogurt", seed=3)
    )
    assert not refused.success
    assert "pick_sponge" in refused.message
