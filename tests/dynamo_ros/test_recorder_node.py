import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from dynamo_interfaces.action import RecordEpisode
from dynamo_interfaces.msg import RecorderState
from dynamo_interfaces.srv import MarkEpisode, MarkMoment, StartEpisode, StopEpisode
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dynamo_policies.bags import raw_messages, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.mcap import open_file
from dynamo_policies.mcap_reader import read as mcap_read
from dynamo_policies.verdict import KEY, parse_verdict
from dynamo_ros.core import bag_writer
from dynamo_ros.core.recording import RecordingError
from dynamo_ros.nodes.definitions import definition_of, message_class
from dynamo_ros.nodes.episode_keys import EpisodeKeys
from dynamo_ros.nodes.recorder_node import RecorderNode
from ros_fixtures import Ros

ARM_TOPIC = "/xarm/joint_states"


class Robot:
    """Publishes the streams of the contract to a recorder; arm messages are numbered in their stamps."""

    def __init__(
        self, node: Node, contract: Contract, recorder: RecorderNode, qos: QoSProfile | int = 50
    ) -> None:
        self._contract, self._recorder = contract, recorder
        images = {stream.topic for stream in contract.cameras.values()}
        self.images = [node.create_publisher(Image, topic, qos) for topic in images]
        self.joints = node.create_publisher(JointState, ARM_TOPIC, 50)
        self.pose = node.create_publisher(PoseStamped, "/dynamo/target_pose", 50)
        self.gripper = node.create_publisher(JointState, "/dynamo/target_gripper", 50)
        self.count = 0

    def arm(self) -> None:
        self.count += 1
        message = JointState(name=list(self._contract.arm.joints), position=[0.1] * 7)
        message.header.stamp.sec = self.count
        self.joints.publish(message)

    def hand(self, position: float) -> None:
        self.joints.publish(JointState(name=["drive_joint"], position=[position]))

    def look(self) -> None:
        for publisher in self.images:
            publisher.publish(Image(height=128, width=128, encoding="rgb8", step=384, data=bytes(49152)))

    def everything(self) -> None:
        self.arm()
        self.hand(0.3)
        self.look()

    def is_heard(self) -> bool:
        """Whether the recorder has heard of every stream."""
        return not self._recorder._recorder._listening.silent

    @property
    def recorded(self) -> int:
        """How many messages of this episode the recorder has taken."""
        return self._recorder._recorder.status(0).messages


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


def start(ros: Ros, robot: Robot, task: str = "put_yogurt") -> Any:
    """Let every stream speak, then start."""
    robot.everything()
    ros.until(robot.is_heard, what="every stream")
    return ros.call(ros.node("operator"), StartEpisode, "/recorder/start", StartEpisode.Request(task=task))


def stop(ros: Ros, outcome: str = "success") -> Any:
    request = StopEpisode.Request(outcome=outcome, note="a note")
    return ros.call(ros.node("operator2"), StopEpisode, "/recorder/stop", request)


def read(path: str, topic: str) -> list[Any]:
    with AnyReader([Path(path)]) as reader:
        connections = [c for c in reader.connections if c.topic == topic]
        return [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages(connections)]


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


def test_the_action_records_until_its_time_is_over(ros: Ros, robot: Robot) -> None:
    robot.everything()
    ros.until(robot.is_heard, what="every stream")
    client = ActionClient(ros.node("client"), RecordEpisode, "/recorder/record")
    ros.until(client.server_is_ready)
    told: list[Any] = []
    goal = RecordEpisode.Goal(task="put_yogurt", max_seconds=0.6)
    accepted = client.send_goal_async(goal, feedback_callback=told.append)
    ros.until(accepted.done)
    result = accepted.result().get_result_async()
    ros.until(result.done)
    answer = result.result()
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert (answer.result.success, answer.result.outcome) == (True, "unknown")
    assert read_info(Path(answer.result.path)).note == "max_seconds have passed"
    ros.until(lambda: told and told[-1].feedback.seconds > 0.3, what="feedback of the last moments")
    client.destroy()


def test_a_goal_that_is_cancelled_leaves_a_whole_bag(ros: Ros, robot: Robot) -> None:
    robot.everything()
    ros.until(robot.is_heard, what="every stream")
    client = ActionClient(ros.node("client"), RecordEpisode, "/recorder/record")
    ros.until(client.server_is_ready)
    accepted = client.send_goal_async(RecordEpisode.Goal(task="put_yogurt"))
    ros.until(accepted.done)
    result = accepted.result().get_result_async()
    accepted.result().cancel_goal_async()
    ros.until(result.done)
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert read_info(Path(result.result().result.path)).note == "cancelled"
    client.destroy()


def test_a_goal_that_makes_no_sense_is_aborted_with_the_reason(ros: Ros, robot: Robot) -> None:
    client = ActionClient(ros.node("client"), RecordEpisode, "/recorder/record")
    ros.until(client.server_is_ready)
    accepted = client.send_goal_async(RecordEpisode.Goal(task="put_yogurts"))
    ros.until(accepted.done)
    result = accepted.result().get_result_async()
    ros.until(result.done)
    assert "task 'put_yogurts' is unknown" in result.result().result.message
    client.destroy()


def test_moments_marks_and_redo_are_services(ros: Ros, robot: Robot) -> None:
    node = ros.node("operator3")
    assert start(ros, robot).success
    assert ros.call(node, MarkMoment, "/recorder/moment", MarkMoment.Request(text="tipped")).success
    assert ros.call(node, MarkEpisode, "/recorder/mark", MarkEpisode.Request(outcome="failure")).success
    path = stop(ros, "").path
    assert read_info(Path(path)).outcome == "failure"
    assert "tipped" in read(path, "/recorder/events")[0].data
    again = ros.call(node, Trigger, "/recorder/redo", Trigger.Request())
    assert (again.success, Path(again.message).name) == (True, "put_yogurt_001")
    refused = ros.call(node, Trigger, "/recorder/next", Trigger.Request())
    assert "put_yogurt_001 is being recorded" in refused.message
    assert stop(ros).success


def test_gamepad_buttons_begin_and_end_an_episode(ros: Ros, contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("tasks: {fetch_yogurt: 3}")
    settings = {"out": str(tmp_path / "bags"), "plan": str(tmp_path / "plan.yaml")}
    parameters = [Parameter(name, value=value) for name, value in settings.items()]
    recorder = ros.add(RecorderNode([*parameters, Parameter("buttons", value=["start:0", "success:1"])]))
    robot = Robot(ros.node("robot"), contract, recorder)
    ros.until(lambda: all(p.get_subscription_count() for p in (*robot.images, robot.joints)))
    pad = ros.node("pad").create_publisher(Joy, "/joy", 10)
    ros.until(pad.get_subscription_count)
    robot.everything()
    ros.until(robot.is_heard, what="every stream")
    states: list[RecorderState] = []
    ros.node("screen").create_subscription(RecorderState, "/recorder/state", states.append, 10)
    for buttons in ([0, 0], [1, 0], [0, 0], [0, 1]):
        pad.publish(Joy(buttons=buttons))
        ros.spin(0.1)
    ros.until(lambda: states and list(states[-1].plan_done) == [1])
    assert (states[-1].next_task, states[-1].next_prompt) == (
        "fetch_yogurt",
        contract.tasks["fetch_yogurt"].prompt,
    )
    assert states[-1].free_bytes > 0
    assert read_info(tmp_path / "bags" / "fetch_yogurt_000").outcome == "success"


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


def test_keys_of_a_terminal_begin_and_end_an_episode(ros: Ros, robot: Robot, tmp_path: Path) -> None:
    typed, terminal = os.openpty()
    settings = {"task": "fetch_yogurt", "operator": "a", "terminal": os.ttyname(terminal)}
    keys = ros.add(EpisodeKeys([Parameter(name, value=value) for name, value in settings.items()]))
    ros.until(lambda: all(client.service_is_ready() for client in keys.clients))
    robot.everything()
    ros.until(robot.is_heard, what="every stream")
    bags = tmp_path / "bags"
    for key, done in (
        (b" ", lambda: (bags / ".fetch_yogurt_000.part").is_dir()),
        (b"m", lambda: robot.recorded > 1),  # the event, beside the gripper's last word
        (b"s", lambda: (bags / "fetch_yogurt_000").is_dir()),
    ):
        os.write(typed, key)
        ros.until(done, what=f"what {key!r} is for")
    info = read_info(bags / "fetch_yogurt_000")
    assert (info.outcome, info.operator, info.counts["/recorder/events"]) == ("success", "a", 1)
    os.close(typed)
    ros.executor.remove_node(keys)  # Its terminal is gone.
    os.close(terminal)


def test_keys_that_go_astray_delete_nothing(
    ros: Ros, robot: Robot, recorder: RecorderNode, tmp_path: Path
) -> None:
    typed, terminal = os.openpty()
    settings = {"task": "fetch_yogurt", "terminal": os.ttyname(terminal)}
    keys = ros.add(EpisodeKeys([Parameter(name, value=value) for name, value in settings.items()]))
    ros.until(lambda: all(client.service_is_ready() for client in keys.clients))
    robot.everything()
    ros.spin(0.1)
    part = tmp_path / "bags" / ".fetch_yogurt_000.part"
    os.write(typed, b"s")  # is refused, which is told
    ros.until(lambda: recorder._control.refusal)
    os.write(typed, b" ")
    ros.until(part.is_dir)
    os.write(typed, b"ydxydddd")
    ros.spin(0.3)
    assert part.is_dir()
    os.write(typed, b"y")
    ros.until(lambda: not part.exists())
    os.close(typed)
    ros.executor.remove_node(keys)  # Its terminal is gone.
    os.close(terminal)


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


class SlowDisk:
    """Lets no bag with `name` be completed before `go`."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, self._name, self._fsync = threading.Event(), name, os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, descriptor: int) -> None:
        if self._name in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            assert self.go.wait(60.0)
        self._fsync(descriptor)


def goal_of(ros: Ros, client: ActionClient) -> Any:
    """Begin an episode by the action, and return the future of its answer."""
    ros.until(client.server_is_ready)
    accepted = client.send_goal_async(RecordEpisode.Goal(task="put_yogurt"))
    ros.until(accepted.done)
    return accepted.result().get_result_async()


def test_a_mark_right_after_a_stop_holds_nothing_up_and_a_goal_is_answered(
    ros: Ros, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.everything()
    ros.until(robot.is_heard)
    node, states = ros.node("operator3"), []
    node.create_subscription(RecorderState, "/recorder/state", states.append, 10)
    client = ActionClient(node, RecordEpisode, "/recorder/record")
    result, disk = goal_of(ros, client), SlowDisk("put_yogurt_000", monkeypatch)
    stopping = node.create_client(StopEpisode, "/recorder/stop")
    marking = node.create_client(MarkEpisode, "/recorder/mark")
    ros.until(lambda: stopping.service_is_ready() and marking.service_is_ready())
    stopping.call_async(StopEpisode.Request(outcome="success"))
    ros.until(lambda: states and states[-1].saving)
    marked, before = marking.call_async(MarkEpisode.Request(outcome="failure")), len(states)
    ros.until(lambda: len(states) > before + 1)
    assert not marked.done()
    disk.go.set()
    ros.until(lambda: marked.done() and result.done())
    assert marked.result().success
    assert read_info(Path(result.result().result.path)).outcome == "failure"
    client.destroy()


def test_a_goal_is_not_answered_by_the_discard_of_another_episode(
    ros: Ros, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.everything()
    ros.until(robot.is_heard)
    node = ros.node("operator3")
    client = ActionClient(node, RecordEpisode, "/recorder/record")
    result, disk = goal_of(ros, client), SlowDisk("put_yogurt_000", monkeypatch)
    stopping = node.create_client(StopEpisode, "/recorder/stop")
    ros.until(stopping.service_is_ready)
    stopping.call_async(StopEpisode.Request(outcome="success"))
    ros.until(lambda: start(ros, robot, "fetch_yogurt").success)
    assert ros.call(node, Trigger, "/recorder/discard", Trigger.Request()).success
    ros.spin(0.1)
    assert not result.done()
    disk.go.set()
    ros.until(result.done)
    assert result.result().result.success
    client.destroy()


def test_an_episode_that_the_disk_ends_is_cued_once(
    ros: Ros,
    contract: Contract,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {"out": str(tmp_path / "bags"), "cue": "text"}
    node = ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    robot = Robot(ros.node("robot"), contract, node)
    ros.until(lambda: all(p.get_subscription_count() for p in (*robot.images, robot.joints)))
    syncing, go = threading.Event(), threading.Event()

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    def slow(_descriptor: int) -> None:
        syncing.set()
        assert go.wait(60.0)

    monkeypatch.setattr(bag_writer, "SYNC_BYTES", 0)
    monkeypatch.setattr(os, "fdatasync", slow)
    assert start(ros, robot).success
    robot.everything()
    ros.until(syncing.is_set)
    monkeypatch.setattr(os, "writev", failing)
    robot.everything()
    ros.until(lambda: not node._recorder.recording)
    assert node._recorder.saving  # Its end is told later than that it ends.
    go.set()
    ros.until(lambda: not node._recorder.saving)
    ros.spin(0.3)
    told = capsys.readouterr().err
    assert "== FAILED writing" in told
    assert told.count("== FAILED") == 1


def test_a_bag_that_can_not_be_completed_is_cued_and_stays_in_the_state(
    ros: Ros,
    contract: Contract,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {"out": str(tmp_path / "bags"), "cue": "text"}
    node = ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    robot = Robot(ros.node("robot"), contract, node)
    ros.until(lambda: all(p.get_subscription_count() for p in (*robot.images, robot.joints)))
    states: list[RecorderState] = []
    ros.node("screen").create_subscription(RecorderState, "/recorder/state", states.append, 10)
    assert start(ros, robot).success
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if "metadata.yaml" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    assert "could not complete" in stop(ros).message
    ros.until(lambda: states and "could not complete" in states[-1].error)
    assert capsys.readouterr().err.count("== FAILED could not complete") == 1


def test_what_waits_for_an_episode_leaves_the_next_one_alone(
    ros: Ros, robot: Robot, recorder: RecorderNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start(ros, robot).success
    disk, node = SlowDisk("put_yogurt_000", monkeypatch), ros.node("operator3")
    stopping = node.create_client(StopEpisode, "/recorder/stop")
    marking = node.create_client(MarkEpisode, "/recorder/mark")
    again = node.create_client(Trigger, "/recorder/redo")
    ros.until(lambda: all(client.service_is_ready() for client in (stopping, marking, again)))
    stopping.call_async(StopEpisode.Request(outcome="success"))
    ros.until(lambda: recorder._recorder.saving)
    waiting = [marking.call_async(MarkEpisode.Request(outcome="failure"))]
    waiting.append(again.call_async(Trigger.Request()))
    ros.spin(0.3)
    assert start(ros, robot, "fetch_yogurt").success
    ros.until(lambda: all(future.done() for future in waiting))
    for future in waiting:
        assert not future.result().success
        assert "an episode began meanwhile; ask again" in future.result().message
    status = recorder._recorder.status(0)
    assert (status.task, status.outcome) == ("fetch_yogurt", "unknown")
    disk.go.set()
    assert Path(stop(ros).path).name == "fetch_yogurt_000"


def test_a_recorder_that_is_shut_down_starts_nothing_more(
    ros: Ros, robot: Robot, recorder: RecorderNode
) -> None:
    path, control = start(ros, robot).path, recorder._control
    recorder.trigger_shutdown()
    assert read_info(Path(path)).note == "interrupted"
    with pytest.raises(RecordingError, match="the recorder is not active"):
        control.redo()
