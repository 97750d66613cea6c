"""What waits for the node's thread, stream by stream."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.observation import Sample
from dynamo_ros.core.timings import Timings
from dynamo_ros.nodes.streams_in import KEPT, StreamsIn
from ros_fixtures import Ros


def test_a_flood_of_joint_states_drives_out_no_image(ros: Ros, contract: Contract) -> None:
    taken, refused = list[Sample](), list[str]()
    streams = StreamsIn(
        ros.node("listener"),
        contract,
        FrameSettings(),
        taken.append,
        lambda _name, problem: refused.append(problem),
        Timings(itertools.count().__next__),
    )
    try:
        camera, joints = contract.cameras["fixed"], contract.streams["arm"].joints
        pixels = np.zeros((camera.height, camera.width, 3), np.uint8).tobytes()
        size = {"height": camera.height, "width": camera.width, "step": 3 * camera.width}
        image = Image(encoding=camera.encoding, data=pixels, **size)
        # As the thread does that listens.
        streams._receive(("fixed",), image, info(1))
        for number in range(3 * KEPT):
            message = JointState(name=joints, position=[0.0] * len(joints))
            streams._receive(("arm",), message, info(2 + number))
        streams.hand_on()
    finally:
        streams.close()
    assert refused == []
    assert [sample.stream for sample in taken] == ["fixed", *["arm"] * KEPT]


def test_bytes_that_are_no_image_are_refused_and_the_next_is_taken(ros: Ros, contract: Contract) -> None:
    taken, refused = list[Sample](), list[tuple[str, str]]()
    streams = StreamsIn(
        ros.node("listener"),
        contract,
        FrameSettings(),
        taken.append,
        lambda name, problem: refused.append((name, problem)),
        Timings(itertools.count().__next__),
    )
    try:
        camera = contract.cameras["fixed"]
        pixels = np.zeros((camera.height, camera.width, 3), np.uint8).tobytes()
        size = {"height": camera.height, "width": camera.width, "step": 3 * camera.width}
        whole = serialize_message(Image(encoding=camera.encoding, data=pixels, **size))
        for number, cdr in enumerate([whole[: len(whole) // 2], whole]):
            streams._receive(("fixed",), cdr, info(1 + number))
        streams.hand_on()
    finally:
        streams.close()
    ((name, problem),) = refused
    assert name == "fixed"
    assert "is no sensor_msgs/msg/Image" in problem
    assert [sample.stream for sample in taken] == ["fixed"]


def info(received_ns: int) -> dict[str, int | None]:
    return {"received_timestamp": received_ns, "source_timestamp": received_ns}
