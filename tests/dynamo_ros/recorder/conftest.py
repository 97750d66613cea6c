"""The recorder's node and the robot that its tests share."""

from pathlib import Path

import pytest
from rclpy.parameter import Parameter

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.recorder_node import RecorderNode
from recorder_fixtures import Robot
from ros_fixtures import Ros


@pytest.fixture
def recorder(ros: Ros, tmp_path: Path) -> RecorderNode:
    patterns = Parameter("extra_topics", value=["/robot_.*"])
    node = RecorderNode([Parameter("out", value=str(tmp_path / "bags")), patterns])
    return ros.add(node)


@pytest.fixture
def robot(ros: Ros, contract: Contract, recorder: RecorderNode) -> Robot:
    node = ros.node("robot")
    made = Robot(node, contract, recorder)
    ros.until(lambda: all(p.get_subscription_count() for p in (*made.images, made.joints)))
    return made
