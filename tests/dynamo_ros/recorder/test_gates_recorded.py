"""What gates listen to is in every bag, where it is on the graph: recorded over DDS, heard by replay."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import Bool

from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract
from dynamo_ros.bag_gates import BagGates
from dynamo_ros.nodes.estop import EstopIn
from dynamo_ros.nodes.recorder_node import RecorderNode
from recorder_fixtures import Robot, read, start, stop
from ros_fixtures import Ros

ESTOP, DEADMAN = "/dynamo/estop", "/deadman"
STATES, TARGETS = "/xarm/robot_states", "/teleop/target_pose"


def known(ros: Ros, recorder: RecorderNode, *topics: str) -> None:
    """Wait until the recorder could find the topics."""

    def there() -> bool:
        return set(topics) <= {name for name, _ in recorder.get_topic_names_and_types()}

    ros.until(there, what=f"{topics} on the graph")


def publish_until(ros: Ros, publish: Callable[[], object], robot: Robot, more: int) -> None:
    before = robot.recorded
    publish()
    ros.until(lambda: robot.recorded >= before + more, what="what was published")


def test_what_stops_and_leads_the_robot_is_recorded_and_heard_by_replay(
    ros: Ros, contract: Contract, tmp_path: Path
) -> None:
    xarm_msgs = pytest.importorskip("xarm_msgs.msg")
    deadman = dataclasses.replace(contract.gates.deadman, topic=DEADMAN)
    held = dataclasses.replace(contract, gates=dataclasses.replace(contract.gates, deadman=deadman))
    (tmp_path / "held.yaml").write_text(held.to_yaml())
    settings = {"contract": str(tmp_path / "held.yaml"), "out": str(tmp_path / "bags"), "search_s": 0.0}
    recorder = ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    robot, node = Robot(ros.node("robot"), held, recorder), ros.node("gates")
    estop, button = node.create_publisher(Bool, ESTOP, 10), node.create_publisher(Bool, DEADMAN, 10)
    states = node.create_publisher(xarm_msgs.RobotMsg, STATES, 10)
    targets = node.create_publisher(PoseStamped, TARGETS, 10)
    known(ros, recorder, ESTOP, DEADMAN, STATES, TARGETS)
    everything = (*robot.images, robot.joints)
    ros.until(lambda: all(p.get_subscription_count() for p in everything), what="the recorder")
    assert start(ros, robot).success
    ros.until(lambda: all(p.get_subscription_count() for p in (estop, button, states, targets)))

    def say() -> None:
        estop.publish(Bool(data=True))
        button.publish(Bool(data=True))
        states.publish(xarm_msgs.RobotMsg(state=2, mode=1))
        targets.publish(PoseStamped())

    publish_until(ros, say, robot, 4)
    response = stop(ros)
    info = read_info(Path(response.path))
    assert {info.counts[name] for name in (ESTOP, DEADMAN, STATES, TARGETS)} == {1}
    assert BagGates(info, held).off == ()
    assert [message.data for message in read(response.path, ESTOP)] == [True]
    # The next episode begins with an e-stop that is still pressed.
    assert start(ros, robot).success
    assert [message.data for message in read(stop(ros).path, ESTOP)] == [True]


def test_an_estop_is_recorded_whose_publisher_comes_in_mid_episode_with_best_effort(
    ros: Ros, robot: Robot, recorder: RecorderNode
) -> None:
    listening = EstopIn(ros.node("runner"), ESTOP, lambda _: None)  # as an inference node does
    known(ros, recorder, ESTOP)
    assert start(ros, robot).success
    button = ros.node("button").create_publisher(
        Bool, ESTOP, QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    )
    # The three of who listens, and the recorder's.
    ros.until(lambda: button.get_subscription_count() == 2 and recorder.count_publishers(ESTOP))
    publish_until(ros, lambda: button.publish(Bool(data=True)), robot, 1)
    response = stop(ros)
    assert (response.dropped, [m.data for m in read(response.path, ESTOP)]) == (0, [True])
    listening.close()


def test_a_robot_without_any_of_it_is_recorded_without_a_word(
    ros: Ros, robot: Robot, contract: Contract, capfd: pytest.CaptureFixture[str]
) -> None:
    assert start(ros, robot).success
    info = read_info(Path(stop(ros).path))
    assert not {ESTOP, STATES, TARGETS} & set(info.counts)
    assert "not recorded" not in capfd.readouterr().err
    assert len(BagGates(info, contract).off) == 2


def test_a_controller_whose_messages_are_not_installed_is_left_out_with_one_line(
    ros: Ros,
    robot: Robot,
    recorder: RecorderNode,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    xarm_msgs = pytest.importorskip("xarm_msgs.msg")
    publisher = ros.node("controller").create_publisher(xarm_msgs.RobotMsg, STATES, 10)
    monkeypatch.setitem(sys.modules, "xarm_msgs.msg", None)
    known(ros, recorder, STATES)
    for _ in range(2):
        assert start(ros, robot).success
        publisher.publish(xarm_msgs.RobotMsg())
        assert STATES not in read_info(Path(stop(ros).path)).counts
    told = [line for line in capfd.readouterr().err.splitlines() if "not recorded" in line]
    assert len(told) == 1
    assert "type 'xarm_msgs/msg/RobotMsg' is not installed here" in told[0]


def test_an_episode_waits_for_commands_that_may_not_have_been_found_yet(
    ros: Ros, contract: Contract, tmp_path: Path
) -> None:
    settings = {"out": str(tmp_path / "bags"), "search_s": 1000.0}
    recorder = ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    robot = Robot(ros.node("robot"), contract, recorder)
    ros.until(lambda: all(p.get_subscription_count() for p in (*robot.images, robot.joints, robot.pose)))
    refusal = start(ros, robot)
    assert not refusal.success
    assert "nothing has come yet from target_pose (/dynamo/target_pose), target_gripper" in refusal.message
    recorder._end_search()
    assert start(ros, robot).success
    assert stop(ros).success
