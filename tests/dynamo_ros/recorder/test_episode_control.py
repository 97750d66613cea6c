"""Episodes by services, action, gamepad and keys, and what their ends tell, over real DDS."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from dynamo_interfaces.action import RecordEpisode
from dynamo_interfaces.msg import RecorderState
from dynamo_interfaces.srv import MarkEpisode, MarkMoment, StopEpisode
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract
from dynamo_ros.core import pen
from dynamo_ros.core.recording import RecordingError
from dynamo_ros.nodes.episode_keys import EpisodeKeys
from dynamo_ros.nodes.recorder_node import RecorderNode
from recorder_fixtures import Robot, read, start, stop
from ros_fixtures import Ros


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
    settings = {"out": str(tmp_path / "bags"), "plan": str(tmp_path / "plan.yaml"), "search_s": 0.0}
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


def cued(ros: Ros, contract: Contract, tmp_path: Path) -> tuple[RecorderNode, Robot]:
    """Return a recorder that cues in text, and its robot."""
    settings = {"out": str(tmp_path / "bags"), "cue": "text", "search_s": 0.0}
    node = ros.add(RecorderNode([Parameter(name, value=value) for name, value in settings.items()]))
    robot = Robot(ros.node("robot"), contract, node)
    ros.until(lambda: all(p.get_subscription_count() for p in (*robot.images, robot.joints)))
    return node, robot


def test_an_episode_that_the_disk_ends_is_cued_once(
    ros: Ros,
    contract: Contract,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node, robot = cued(ros, contract, tmp_path)
    syncing, go = threading.Event(), threading.Event()

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    def slow(_descriptor: int) -> None:
        syncing.set()
        assert go.wait(60.0)

    monkeypatch.setattr(pen, "SYNC_BYTES", 0)
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
    _node, robot = cued(ros, contract, tmp_path)
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
