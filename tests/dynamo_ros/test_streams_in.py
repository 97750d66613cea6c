"""What waits for the node's thread, stream by stream."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

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


def info(received_ns: int) -> dict[str, int | None]:
    return {"received_timestamp": received_ns, "source_timestamp": received_ns}
