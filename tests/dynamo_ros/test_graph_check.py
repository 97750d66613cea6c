"""The live graph against the contract, without ROS."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace as Message
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_policies.contract import Contract
from dynamo_policies.streams import ImageStream, JointStream
from dynamo_ros.core.authority import TOPIC as AUTHORITY
from dynamo_ros.core.first_look import FirstLook, Seen
from dynamo_ros.core.graph_check import End, Graph, GraphError, LiveTopic, Mismatch, Sink, check_graph
from policy_fixtures import CONTRACT

ME, MS = "/inference_node", 1_000_000
ARM = Sink("topic", CONTRACT.arm.topic, "trajectory_msgs/msg/JointTrajectory")
GRIPPER = Sink("action", "/xarm_gripper/gripper_action", "control_msgs/action/GripperCommand")
SINKS = (ARM, GRIPPER)
CAMERA, OTHER_CAMERA, JOINTS = (CONTRACT.streams[name].topic for name in ("fixed", "wrist", "arm"))


def fitting() -> Graph:
    """Return the graph that the contract describes."""
    topics = {
        stream.topic: LiveTopic(publishers=(End("/driver", stream.type),))
        for stream in CONTRACT.observed.values()
    }
    mine = (End(ME, ARM.type),)
    topics[ARM.name] = LiveTopic(publishers=mine, subscribers=(End("/controller", ARM.type),))
    topics["/dynamo/target_pose"] = LiveTopic(publishers=(End(ME, "geometry_msgs/msg/PoseStamped"),))
    return Graph(ME, topics, {GRIPPER.name: (GRIPPER.type,)})


def heard() -> dict[str, Seen]:
    """Return what comes of the contract's streams when all is well."""
    return {
        name: Seen(round(2 * one.rate_hz), 2.0, rate_hz=one.rate_hz, age_ms=2.0)
        for name, one in CONTRACT.observed.items()
    }


def with_topic(graph: Graph, name: str, **changes: Any) -> Graph:
    live = graph.topics.get(name, LiveTopic())
    return graph._replace(topics={**graph.topics, name: live._replace(**changes)})


def texts(graph: Graph, seen: dict[str, Seen] | None = None, sinks: tuple[Sink, ...] = SINKS) -> list[str]:
    return [str(one) for one in check_graph(CONTRACT, graph, heard() if seen is None else seen, sinks)]


def two(kind: str) -> tuple[End, ...]:
    return End("/driver", kind), End("/second", kind)


IMAGE = "sensor_msgs/msg/Image"
FAULTS: dict[str, tuple[Callable[[Graph], Graph], str]] = {
    "no camera": (
        lambda graph: with_topic(graph, CAMERA, publishers=()),
        f"{CAMERA} (fixed): no publisher, expected one of {IMAGE}",
    ),
    "wrong type": (
        lambda graph: with_topic(graph, OTHER_CAMERA, publishers=(End("/driver", "std_msgs/msg/String"),)),
        f"{OTHER_CAMERA} (wrist): /driver has type std_msgs/msg/String, expected {IMAGE}",
    ),
    "two cameras": (
        lambda graph: with_topic(graph, CAMERA, publishers=two(IMAGE)),
        f"{CAMERA} (fixed): 2 publishers, /driver and /second, expected one",
    ),
    "lossy": (
        lambda graph: with_topic(
            graph, JOINTS, publishers=(End("/driver", "sensor_msgs/msg/JointState", "best_effort"),)
        ),
        f"{JOINTS} (arm, gripper): /driver offers best_effort, expected reliable",
    ),
    "no controller": (
        lambda graph: with_topic(graph, ARM.name, subscribers=()),
        f"{ARM.name} (commands): no subscriber, expected a driver",
    ),
    "wrong controller": (
        lambda graph: with_topic(graph, ARM.name, subscribers=(End("/controller", IMAGE),)),
        f"{ARM.name} (commands): /controller has type {IMAGE}, expected {ARM.type}",
    ),
    "no gripper": (
        lambda graph: graph._replace(services={}),
        f"action {GRIPPER.name}: no server, expected one of {GRIPPER.type}",
    ),
    "another commander": (
        lambda graph: with_topic(graph, ARM.name, publishers=(End(ME, ARM.type), End("/script", ARM.type))),
        f"{ARM.name} (commands): another commander, /script, expected none beside {ME}",
    ),
    "another of targets": (
        lambda graph: with_topic(graph, "/dynamo/target_pose", publishers=(End("/script", IMAGE),)),
        "/dynamo/target_pose (commands): another commander, /script",
    ),
    "a node of the same name": (
        lambda graph: with_topic(graph, ARM.name, publishers=(End(ME, ARM.type), End(ME, ARM.type))),
        f"{ARM.name} (commands): another commander, {ME}",
    ),
}


def test_the_graph_that_the_contract_describes_fits() -> None:
    assert texts(fitting()) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_named_with_what_was_expected(fault: str) -> None:
    spoil, expected = FAULTS[fault]
    (text,) = texts(spoil(fitting()), without(heard(), fault))
    assert text.startswith(expected)


def without(seen: dict[str, Seen], fault: str) -> dict[str, Seen]:
    """Return what comes nevertheless: nothing of a camera that is not there or of another type."""
    gone = {"no camera": "fixed", "wrong type": "wrist"}.get(fault)
    return {name: Seen() if name == gone else one for name, one in seen.items()}


# Of two faults of one end the later one would hide the other.
ALIKE = {"a node of the same name", "two cameras", "wrong controller"}


@given(st.sets(st.sampled_from(sorted(set(FAULTS) - ALIKE))))
def test_whatever_comes_together_each_is_named(faults: set[str]) -> None:
    graph, seen = fitting(), heard()
    for fault in sorted(faults):
        graph, seen = FAULTS[fault][0](graph), without(seen, fault)
    found = texts(graph, seen)
    assert len(found) == len(faults)
    for fault in faults:
        assert any(text.startswith(FAULTS[fault][1]) for text in found)


def test_who_speaks_of_authority_is_no_other_commander() -> None:
    kind = "std_msgs/msg/String"
    graph = with_topic(fitting(), AUTHORITY, publishers=(End(ME, kind), End("/teleop_node", kind)))
    both = (End(ME, ARM.type), End("/teleop_node", ARM.type))
    assert texts(with_topic(graph, ARM.name, publishers=both)) == []


def test_without_sinks_nobody_asks_who_commands() -> None:
    graph = FAULTS["another commander"][0](FAULTS["no gripper"][0](fitting()))
    assert texts(graph, sinks=()) == []


@pytest.mark.parametrize(
    ("seen", "expected", "waiting"),
    [
        (Seen(), "nothing has come, expected 30 Hz", True),
        (Seen(5, 0.2), "heard for 0.2 s only, expected 1.0 s", True),
        (Seen(20, 2.0, rate_hz=10.0), "10.0 Hz, expected 30 Hz (80 to 125 %)", True),
        (Seen(120, 2.0, rate_hz=60.0), "60.0 Hz, expected 30 Hz", True),
        (Seen(60, 2.0, rate_hz=30.0, age_ms=9000.0), "stamped 9000 ms before it was received", False),
        (Seen(60, 2.0, rate_hz=30.0, age_ms=-9000.0), "stamped 9000 ms after it was received", False),
        (Seen(60, 2.0, rate_hz=30.0, wrong=(("encoding 'bgr8'", "'rgb8'"),)), "encoding 'bgr8'", False),
    ],
)
def test_what_comes_otherwise_than_due_is_named(seen: Seen, expected: str, waiting: bool) -> None:
    (found,) = check_graph(CONTRACT, fitting(), heard() | {"fixed": seen}, SINKS)
    assert str(found).startswith(f"{CAMERA} (fixed): {expected}")
    assert found.waiting == waiting


def test_a_stream_that_its_driver_does_not_repeat_needs_no_rate() -> None:
    assert CONTRACT.streams["gripper"].max_age_ms is None
    assert texts(fitting(), heard() | {"gripper": Seen(1, 0.0)}) == []


def test_an_error_counts_and_names_all() -> None:
    error = GraphError([Mismatch("/a", "none", "one"), Mismatch("/b", "two", "one")])
    assert str(error).endswith("in 2 points: /a: none, expected one; /b: two, expected one")


def stamped(stamp_ns: int, **fields: Any) -> Message:
    stamp = Message(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return Message(header=Message(stamp=stamp, frame_id=""), **fields)


def image(stamp_ns: int, **fields: Any) -> Message:
    return stamped(stamp_ns, **({"encoding": "rgb8", "width": 128, "height": 128} | fields))


@pytest.fixture
def look(contract: Contract) -> FirstLook:
    return FirstLook(contract)


def test_rate_and_age_are_told_once_heard_for_a_second(look: FirstLook) -> None:
    for index in range(25):
        look.saw("fixed", image(index * 40 * MS), index * 40 * MS + 3 * MS)
    young = look.seen(960 * MS)["fixed"]
    assert (young.messages, young.rate_hz) == (25, None)
    for index in range(25, 200):
        look.saw("fixed", image(index * 40 * MS), index * 40 * MS + 3 * MS)
    seen = look.seen(200 * 40 * MS)["fixed"]
    assert seen.rate_hz == pytest.approx(25.0)
    assert seen.age_ms == pytest.approx(3.0)
    assert seen.wrong == ()


def test_what_ended_is_forgotten_and_what_holds_is_not(look: FirstLook) -> None:
    look.saw("fixed", image(0), 0)
    look.saw("gripper", stamped(0, name=["drive_joint"]), 0)
    seen = look.seen(60 * 1000 * MS)
    assert seen["fixed"].messages == 0
    assert seen["gripper"].messages == 1


def test_everything_wrong_with_an_image_is_told(look: FirstLook) -> None:
    look.saw("fixed", image(0, encoding="bgr8", width=64), 0)
    assert look.seen(0)["fixed"].wrong == (("encoding 'bgr8'", "'rgb8'"), ("images of 64x128", "128x128"))


def test_joints_of_other_names_are_told_where_none_of_ours_came(look: FirstLook, contract: Contract) -> None:
    look.saw("arm", stamped(0, name=["elbow"]), 0)
    assert look.seen(0)["arm"].wrong == (("joints ['elbow']", str(list(contract.arm.joints))),)
    look.saw("arm", stamped(0, name=list(contract.arm.joints)), 0)
    assert look.seen(0)["arm"].wrong == ()


def test_messages_of_another_stream_of_the_topic_do_not_count(look: FirstLook) -> None:
    for name in ("arm", "gripper"):
        look.saw(name, stamped(0, name=["drive_joint"]), 0)
    seen = look.seen(0)
    assert (seen["arm"].messages, seen["gripper"].messages) == (0, 1)
    assert seen["arm"].wrong == ()  # it may still come


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (cv2.imencode(".jpg", np.zeros((128, 128, 3), np.uint8))[1].tobytes(), ()),
        (
            cv2.imencode(".png", np.zeros((128, 64, 3), np.uint8))[1].tobytes(),
            (("images of 64x128", "128x128"),),
        ),
        (b"no image", (("format 'jpeg', no jpeg or png", "128x128"),)),
    ],
    ids=["fitting", "size", "none"],
)
def test_compressed_images_say_their_size_too(contract: Contract, data: bytes, wrong: object) -> None:
    fixed = dataclasses.replace(contract.streams["fixed"], type="sensor_msgs/msg/CompressedImage")
    assert isinstance(fixed, ImageStream)
    look = FirstLook(dataclasses.replace(contract, streams={**contract.streams, "fixed": fixed}))
    look.saw("fixed", stamped(0, format="jpeg", data=data), 0)
    assert look.seen(0)["fixed"].wrong == wrong


def test_an_arm_without_a_joint_is_told_which(look: FirstLook, contract: Contract) -> None:
    stream = contract.streams["arm"]
    assert isinstance(stream, JointStream)
    look.saw("arm", stamped(0, name=list(stream.joints[:-1])), 0)
    ((given, expected),) = look.seen(0)["arm"].wrong
    assert given.endswith("without ['joint7']")
    assert expected == str(list(stream.joints))
