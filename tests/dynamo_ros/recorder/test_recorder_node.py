import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dynamo_interfaces.msg import RecorderState
from dynamo_interfaces.srv import StartEpisode
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dynamo_policies.bags import raw_messages, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.mcap import open_file
from dynamo_policies.mcap_reader import read as mcap_read
from dynamo_policies.verdict import KEY, parse_verdict
from dynamo_ros.core.recording import RecordingError
from dynamo_ros.nodes.definitions import definition_of, message_class
from dynamo_ros.nodes.recorder_node import RecorderNode
from recorder_fixtures import ARM_TOPIC, Robot, read, start, stop
from ros_fixtures import Ros


def test_a_bag_holds_every_message_that_was_published(ros: Ros, robot: Robot) -> None:
    assert start(ros, robot).success
    first, before = robot.count + 1, robot.recorded
    for _ in range(30):
        for _ in range(10):
            robot.arm()
        robot.look()
        ros.spin(0.01)
    ros.until(lambda: robot.recorded >= before + 30 * 12, what="every message")
    response = stop(ros)
    assert (response.success, response.dropped) == (True, 0)
    arm = [m.header.stamp.sec for m in read(response.path, ARM_TOPIC) if "joint1" in m.name]
    assert arm == list(range(first, first + 300))
    assert len(read(response.path, "/wrist/camera/color/image_raw")) == 30
    info = read_info(Path(response.path))
    assert (info.task, info.outcome) == ("put_yogurt", "success")


def test_messages_without_content_are_not_recorded(ros: Ros, robot: Robot, recorder: RecorderNode) -> None:
    assert start(ros, robot).success
    before = recorder._recorder.status(0).messages
    robot.joints.publish(b"\0\1\0\0")
    for _ in range(5):
        robot.arm()
    ros.until(lambda: recorder._recorder.status(0).messages >= before + 5)
    info = read_info(Path(stop(ros).path))
    assert min(len(raw.data) for raw in raw_messages(info, info.counts)) > 4


def test_a_bag_begins_with_the_last_word_of_a_gripper_that_is_silent(ros: Ros, robot: Robot) -> None:
    robot.hand(0.7)
    robot.arm()
    robot.look()
    ros.until(robot.is_heard, what="every stream")
    response = ros.call(
        ros.node("operator"), StartEpisode, "/recorder/start", StartEpisode.Request(task="put_yogurt")
    )
    assert response.success, response.message
    before = robot.recorded
    robot.arm()
    ros.until(lambda: robot.recorded > before, what="a message of the arm")
    messages = read(stop(ros).path, ARM_TOPIC)
    assert [list(m.position) for m in messages if "drive_joint" in m.name] == [[0.7]]


def test_episodes_do_not_overwrite_one_another(ros: Ros, robot: Robot) -> None:
    paths = []
    for _ in range(2):
        assert start(ros, robot).success
        paths.append(Path(stop(ros).path).name)
    assert paths == ["put_yogurt_000", "put_yogurt_001"]


def test_a_discarded_episode_leaves_nothing(ros: Ros, robot: Robot, tmp_path: Path) -> None:
    assert start(ros, robot).success
    response = ros.call(ros.node("operator2"), Trigger, "/recorder/discard", Trigger.Request())
    assert response.success
    assert list((tmp_path / "bags").iterdir()) == []


def test_starting_without_a_sensor_is_refused_by_its_name(ros: Ros, robot: Robot) -> None:
    robot.arm()
    robot.hand(0.0)
    ros.spin(0.1)
    request = StartEpisode.Request(task="put_yogurt")
    response = ros.call(ros.node("operator"), StartEpisode, "/recorder/start", request)
    assert not response.success
    assert "wrist (/wrist/camera/color/image_raw)" in response.message


def test_what_makes_no_sense_is_refused_with_a_reason(ros: Ros, robot: Robot) -> None:
    assert "no episode is being recorded" in stop(ros).message
    assert (
        "task 'put_yogurts' is unknown; did you mean 'put_yogurt'" in start(ros, robot, "put_yogurts").message
    )
    assert start(ros, robot).success
    assert "put_yogurt_000 is being recorded; stop or discard it first" in start(ros, robot).message
    assert "outcome 'great' is unknown" in stop(ros, "great").message
    assert stop(ros).success


def test_an_interrupted_episode_is_saved_with_an_unknown_outcome(
    ros: Ros,
    robot: Robot,
    recorder: RecorderNode,
    tmp_path: Path,
) -> None:
    path = start(ros, robot).path
    robot.everything()
    ros.spin(0.1)
    recorder.destroy_node()
    assert read_info(Path(path)).outcome == "unknown"


def test_a_best_effort_camera_is_recorded_all_the_same(
    ros: Ros, contract: Contract, recorder: RecorderNode
) -> None:
    best_effort = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    robot = Robot(ros.node("robot"), contract, recorder, best_effort)
    ros.until(
        lambda: all(p.get_subscription_count() for p in robot.images), what="subscriptions to the cameras"
    )


def test_the_state_tells_what_is_being_recorded(ros: Ros, robot: Robot) -> None:
    states: list[RecorderState] = []
    ros.node("screen").create_subscription(RecorderState, "/recorder/state", states.append, 10)
    start(ros, robot)
    ros.until(lambda: states and states[-1].recording)
    robot.everything()
    heard: Callable[[], bool] = lambda: states[-1].messages >= 4  # noqa: E731
    ros.until(heard)
    assert states[-1].path.endswith("put_yogurt_000")
    stop(ros)
    ros.until(lambda: not states[-1].recording)


def test_the_answer_to_a_stop_is_the_verdict_with_its_reasons(ros: Ros, robot: Robot) -> None:
    states: list[RecorderState] = []
    ros.node("screen").create_subscription(RecorderState, "/recorder/state", states.append, 10)
    assert start(ros, robot).success
    robot.everything()
    ros.spin(0.2)
    response = stop(ros)
    assert response.success
    # The robot of these tests stamps with small numbers and commands nothing.
    assert response.message.startswith("red: ")
    assert "target_pose: no messages on /dynamo/target_pose" in response.message
    ros.until(lambda: states and states[-1].last_verdict == "red")
    assert parse_verdict(read_info(Path(response.path)).custom[KEY]).colour == "red"


def test_a_latched_topic_that_a_pattern_finds_is_in_every_episode(ros: Ros, robot: Robot) -> None:
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    node = ros.node("description")
    node.create_publisher(String, "/robot_description", latched).publish(String(data="<robot/>"))
    for _ in range(2):
        start(ros, robot)
        # The gripper's last word, and this topic's.
        ros.until(lambda: robot.recorded >= 2, what="the latched message")
        assert [m.data for m in read(stop(ros).path, "/robot_description")] == ["<robot/>"]


def test_times_are_those_of_the_middleware_not_of_the_callback(ros: Ros, robot: Robot) -> None:
    start(ros, robot)
    before, begun_ns = robot.recorded, time.time_ns()
    robot.arm()
    sent_ns = time.time_ns()
    time.sleep(0.5)  # the recorder is held up
    called_ns = time.time_ns()
    ros.until(lambda: robot.recorded > before, what="the message")
    path = Path(stop(ros).path)
    view = open_file(path / f"{path.name}.mcap")
    late = [message for _, message in mcap_read(view, lambda c: c.topic == ARM_TOPIC)][-1]
    assert begun_ns <= late.publish_ns <= sent_ns
    assert late.publish_ns <= late.receive_ns < called_ns


def test_a_recorder_that_is_not_active_refuses_and_saves_when_it_is_deactivated(
    ros: Ros, robot: Robot, recorder: RecorderNode
) -> None:
    path = start(ros, robot).path
    recorder.trigger_deactivate()
    assert read_info(Path(path)).note == "interrupted"
    assert "the recorder is not active" in start(ros, robot).message
    recorder.trigger_activate()
    assert start(ros, robot).success


def test_definitions_of_types_that_ros_does_not_ship_are_whole() -> None:
    assert definition_of("sensor_msgs/msg/Image") is None
    assert "float64 elapsed" in str(definition_of("dynamo_interfaces/msg/Outcome"))
    with pytest.raises(RecordingError, match="package 'no_such' is not installed here"):
        definition_of("no_such/msg/Thing")
    with pytest.raises(RecordingError, match="type 'no_such/msg/Thing' is not installed here: No module"):
        message_class("no_such/msg/Thing")
    with pytest.raises(RecordingError, match="type 'sensor_msgs/msg/Imag' is not installed here"):
        message_class("sensor_msgs/msg/Imag")


def test_a_topic_whose_type_is_not_installed_is_left_out(
    ros: Ros, robot: Robot, recorder: RecorderNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = ros.node("base").create_publisher(Odometry, "/robot_odometry", 10)
    monkeypatch.setitem(sys.modules, "nav_msgs.msg", None)
    ros.until(lambda: recorder.count_publishers("/robot_odometry"))
    assert start(ros, robot).success
    publisher.publish(Odometry())
    ros.spin(0.1)
    assert "/robot_odometry" not in read_info(Path(stop(ros).path)).counts


@pytest.mark.parametrize(
    "extra", ["/o:nav_msgs/msg/Odometry", "/o:nav_msgs/msg/Odo", "/o:nav_msgs/Odometry", "o"]
)
def test_an_extra_that_can_not_be_recorded_is_a_refusal_and_no_fault(
    ros: Ros, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, "nav_msgs.msg", None)
    settings = {"autostart": False, "out": str(tmp_path), "extras": [extra]}
    node = ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE


def test_a_second_publisher_in_mid_episode_is_no_loss(
    ros: Ros, contract: Contract, robot: Robot, recorder: RecorderNode
) -> None:
    assert start(ros, robot).success
    for _ in range(40):
        robot.arm()
    ros.until(lambda: robot.recorded >= 40)
    other = Robot(ros.node("other"), contract, recorder)
    ros.until(other.joints.get_subscription_count)
    for _ in range(10):
        robot.arm()
        other.arm()
        ros.spin(0.02)
    assert stop(ros).dropped == 0
