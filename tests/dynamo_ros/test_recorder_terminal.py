"""Episodes are controlled from a plain terminal, by the commands that ROS 2 has."""

import importlib.util
import os
import subprocess
import time
from pathlib import Path

import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState

from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract
from dynamo_ros.nodes.recorder_node import RecorderNode
from ros_fixtures import Ros

DEADLINE_S = 120.0  # Starting `ros2` alone takes seconds on a busy machine.


@pytest.fixture
def bags(ros: Ros, contract: Contract, tmp_path: Path) -> Path:
    """The folder of a recorder to which a robot speaks."""
    settings = {"out": str(tmp_path / "bags"), "search_s": 0.0}
    ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    node = ros.node("robot")
    topics = {stream.topic for stream in contract.cameras.values()}
    cameras = [node.create_publisher(Image, topic, 10) for topic in topics]
    joints = node.create_publisher(JointState, contract.streams["arm"].topic, 10)

    def speak() -> None:
        for camera in cameras:
            camera.publish(Image(height=2, width=2, encoding="rgb8", step=6, data=bytes(12)))
        joints.publish(JointState(name=list(contract.arm.joints), position=[0.1] * 7))
        joints.publish(JointState(name=["drive_joint"], position=[0.3]))

    node.create_timer(0.05, speak)
    ros.until(lambda: all(one.get_subscription_count() for one in (*cameras, joints)), DEADLINE_S)
    ros.spin(0.2)
    return tmp_path / "bags"


def ros2(ros: Ros, *words: str) -> str:
    """Run a command of `ros2` while the nodes go on, and return what it says."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        ["ros2", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        deadline = time.monotonic() + DEADLINE_S
        try:
            while process.poll() is None and time.monotonic() < deadline:
                ros.spin(0.05)
        finally:
            process.kill()
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
def test_services_begin_mark_and_end_an_episode(ros: Ros, bags: Path) -> None:
    kind = "dynamo_interfaces/srv/StartEpisode"
    said = ros2(ros, "service", "call", "/recorder/start", kind, "{task: put_yogurt, note: by hand}")
    assert "success=True" in said
    kind = "dynamo_interfaces/srv/StopEpisode"
    said = ros2(ros, "service", "call", "/recorder/stop", kind, "{outcome: success}")
    assert "success=True" in said
    info = read_info(bags / "put_yogurt_000")
    assert (info.task, info.outcome, info.note) == ("put_yogurt", "success", "by hand")
    said = ros2(ros, "service", "call", "/recorder/redo", "std_srvs/srv/Trigger")
    assert "success=True" in said
    said = ros2(ros, "service", "call", "/recorder/discard", "std_srvs/srv/Trigger")
    assert "success=True" in said
    assert not (bags / "put_yogurt_000").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("ros2action") is None, reason="ros2action is in apt's ROS 2, not on PyPI"
)
@pytest.mark.slow
def test_the_action_records_one_episode_with_feedback(ros: Ros, bags: Path) -> None:
    kind, goal = "dynamo_interfaces/action/RecordEpisode", "{task: fetch_yogurt, max_seconds: 1.0}"
    said = ros2(ros, "action", "send_goal", "--feedback", "/recorder/record", kind, goal)
    assert "Goal accepted" in said
    assert "Goal finished with status: SUCCEEDED" in said
    assert "Feedback:" in said
    assert read_info(bags / "fetch_yogurt_000").messages > 10
