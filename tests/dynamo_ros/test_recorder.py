"""The recorder without ROS."""

import shutil
import time
from pathlib import Path

import pytest
import yaml

from bag_factory import Raw, episode_messages
from dynamo_policies.bags import find_bags, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.mcap import open_file
from dynamo_policies.mcap_reader import read
from dynamo_ros.core.bag_topics import Topic
from dynamo_ros.core.episode_buttons import EpisodeButtons
from dynamo_ros.core.preroll import PreRoll
from dynamo_ros.core.provenance import provenance
from dynamo_ros.core.recorder import Recorder
from dynamo_ros.core.recording import Item, RecordingError
from dynamo_ros.core.recording_plan import load_plan
from dynamo_ros.core.ros_time import SimulatedTime
from dynamo_ros.core.storage_settings import StorageSettings

S = 1_000_000_000
TF = "/tf_static"


def feed(recorder: Recorder, messages: list[Raw]) -> None:
    for raw in messages:
        recorder.saw(*raw)


def stamps(path: Path, topic: str) -> list[int]:
    view = open_file(path / f"{path.name}.mcap")
    return [message.receive_ns for _, message in read(view, lambda channel: channel.topic == topic)]


def custom_data(path: Path) -> dict[str, str]:
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())
    return metadata["rosbag2_bagfile_information"]["custom_data"]


@pytest.fixture
def messages(contract: Contract) -> list[Raw]:
    return episode_messages(contract, 1.0)


@pytest.fixture
def recorder(contract: Contract, messages: list[Raw], tmp_path: Path) -> Recorder:
    made = Recorder(contract, tmp_path / "bags")
    feed(made, messages)
    return made


def test_the_seconds_before_the_start_are_recorded(
    contract: Contract, messages: list[Raw], tmp_path: Path
) -> None:
    recorder = Recorder(contract, tmp_path, preroll_s=0.4)
    feed(recorder, messages)
    now_ns = messages[-1].receive_ns
    recorder.start("put_yogurt", now_ns)
    path = recorder.stop("success").path
    expected = {raw.receive_ns for raw in messages if raw.receive_ns >= now_ns - 0.4 * S}
    assert set(stamps(path, "/dynamo/target_pose")) <= expected
    assert read_info(path).duration_ns == pytest.approx(0.4 * S, abs=0.05 * S)


def test_without_a_pre_roll_nothing_before_the_start_is_recorded_but_what_holds(
    recorder: Recorder, messages: list[Raw]
) -> None:
    now_ns = messages[-1].receive_ns + S
    recorder.start("put_yogurt", now_ns)
    path = recorder.stop("success").path
    assert read_info(path).start_ns == now_ns
    assert stamps(path, "/dynamo/target_pose") == []
    assert stamps(path, "/xarm/joint_states") == [now_ns]


def test_the_pre_roll_is_bounded_in_time_and_bytes_and_forgets_when_time_is_set_back() -> None:
    ring = PreRoll(1.0, limit_bytes=100)
    for index in range(50):
        ring.push(Item("/a", bytes(10), index * S // 10))
    assert [item.receive_ns for item in ring.take(49 * S // 10)] == [n * S // 10 for n in range(40, 50)]
    ring.push(Item("/a", b"", 50 * S))
    ring.push(Item("/a", b"", 2 * S))
    assert [item.receive_ns for item in ring.take(2 * S)] == [2 * S]


def test_what_is_said_once_is_in_every_episode(recorder: Recorder) -> None:
    recorder.listen([Topic(TF, "tf2_msgs/msg/TFMessage", latched=True)])
    recorder.saw(TF, b"\0\1\0\0first", 5)
    recorder.saw(TF, b"\0\1\0\0second", 6)
    recorder.saw(TF, b"\0\1\0\0first", 7)
    for now_ns in (S, 2 * S):
        recorder.start("put_yogurt", now_ns)
        assert stamps(recorder.stop("success").path, TF) == [now_ns, now_ns]


def test_the_next_episode_begins_while_the_last_is_completed(
    recorder: Recorder, messages: list[Raw], tmp_path: Path
) -> None:
    recorder.start("put_yogurt", S)
    feed(recorder, messages)
    first = recorder.end("success")
    second = recorder.start("fetch_yogurt", 2 * S)
    feed(recorder, messages)
    assert first.summary().messages >= len(messages)
    assert recorder.stop("failure").path == second
    assert [path.name for path in find_bags(tmp_path)] == ["fetch_yogurt_000", "put_yogurt_000"]


def test_a_recorder_that_searches_waits_for_streams_that_it_can_do_without(
    contract: Contract, messages: list[Raw], tmp_path: Path
) -> None:
    recorder = Recorder(contract, tmp_path)
    recorder.searching = True
    late = contract.streams["target_pose"].topic
    feed(recorder, [raw for raw in messages if raw.topic != late])
    with pytest.raises(RecordingError, match=f"nothing has come yet from target_pose .{late}.; what was"):
        recorder.start("put_yogurt", 2 * S)
    feed(recorder, [next(raw for raw in messages if raw.topic == late)])
    recorder.start("put_yogurt", 2 * S)
    recorder.discard()


def test_without_a_search_only_what_is_observed_is_waited_for(
    contract: Contract, messages: list[Raw], tmp_path: Path
) -> None:
    recorder = Recorder(contract, tmp_path)
    camera = contract.streams["wrist"].topic
    feed(recorder, [raw for raw in messages if raw.topic not in (camera, "/dynamo/target_pose")])
    with pytest.raises(RecordingError, match=f"nothing has come yet from wrist .{camera}.$"):
        recorder.start("put_yogurt", 2 * S)
    feed(recorder, [next(raw for raw in messages if raw.topic == camera)])
    recorder.start("put_yogurt", 2 * S)
    recorder.discard()


def test_a_mark_holds_for_the_stop_that_names_no_outcome(recorder: Recorder) -> None:
    recorder.start("put_yogurt", S)
    recorder.mark("failure", "slipped")
    assert recorder.status(S).outcome == "failure"
    info = read_info(recorder.stop(note="late").path)
    assert (info.outcome, info.note) == ("failure", "slipped; late")


def test_the_last_episode_can_be_marked_afterwards(recorder: Recorder) -> None:
    recorder.start("put_yogurt", S)
    path = recorder.stop("success").path
    before = read_info(path)
    assert recorder.mark("failure", "seen on the video") == path
    info = read_info(path)
    assert (info.outcome, info.note) == ("failure", "seen on the video")
    assert (info.contract, info.counts) == (before.contract, before.counts)
    with pytest.raises(UnknownNameError, match="outcome 'bad' is unknown"):
        recorder.mark("bad")


def test_redo_sets_the_last_bag_aside_and_starts_its_task_again(recorder: Recorder, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="nothing to redo: no episode was recorded"):
        recorder.redo(S)
    recorder.start("fetch_yogurt", S, operator="a")
    recorder.stop("success")
    again = recorder.redo(2 * S)
    assert again.name == "fetch_yogurt_001"
    assert custom_data(recorder.stop("success").path)["operator"] == "a"
    assert find_bags(tmp_path) == [again]
    assert (tmp_path / "bags" / ".fetch_yogurt_000.discarded").is_dir()


def test_redo_during_an_episode_discards_it(recorder: Recorder, tmp_path: Path) -> None:
    recorder.start("fetch_yogurt", S)
    assert recorder.redo(2 * S).name == "fetch_yogurt_000"
    recorder.stop("success")
    assert [path.name for path in (tmp_path / "bags").iterdir()] == ["fetch_yogurt_000"]


def test_a_moment_is_a_message_in_the_bag(recorder: Recorder) -> None:
    with pytest.raises(RecordingError, match="nothing to mark a moment of"):
        recorder.moment("now", 1)
    recorder.start("put_yogurt", S)
    recorder.moment("the bottle tipped", 2 * S)
    path = recorder.stop("success").path
    ((_, message),) = read(open_file(path / f"{path.name}.mcap"), lambda c: c.topic == "/recorder/events")
    assert (message.receive_ns, b'"text": "the bottle tipped"' in bytes(message.data)) == (2 * S, True)


def test_a_disk_at_its_reserve_refuses_the_start_and_ends_an_episode_whole(
    contract: Contract, messages: list[Raw], tmp_path: Path
) -> None:
    full = Recorder(contract, tmp_path, settings=StorageSettings(reserve_mb=1e9))
    feed(full, messages)
    with pytest.raises(RecordingError, match=r"MB are free on the disk of .*; at least 1572864000 MB are"):
        full.start("put_yogurt", S)
    assert list(tmp_path.iterdir()) == []


def test_an_episode_that_fills_the_disk_ends_whole_and_says_why(
    recorder: Recorder, messages: list[Raw], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.start("put_yogurt", S)
    feed(recorder, messages)
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    deadline, done = time.monotonic() + 60, []
    while not done and time.monotonic() < deadline:
        done = recorder.tend()
        time.sleep(0.01)
    assert done[0].error == ""
    assert done[0].messages >= len(messages)
    assert "ended as the disk is full: 1 MB are free" in read_info(done[0].path).note
    assert "1 MB are free" in recorder.failure
    with pytest.raises(RecordingError, match="at least 1611 MB are needed to start"):
        recorder.start("put_yogurt", S)


def test_the_plan_tells_what_comes_next(contract: Contract, messages: list[Raw], tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("tasks: {put_yogurt: 2, fetch_yogurt: 1}\n")
    bags = tmp_path / "bags"
    recorder = Recorder(contract, bags, plan=load_plan(tmp_path / "plan.yaml", contract, bags))
    feed(recorder, messages)
    for outcome in ("success", "failure", "success", "success"):
        recorder.start("", S)
        recorder.stop(outcome)
    assert sorted(path.name for path in find_bags(bags)) == [
        *("fetch_yogurt_000", "put_yogurt_000", "put_yogurt_001", "put_yogurt_002")
    ]
    assert recorder.plan.tasks == [("put_yogurt", 2, 2), ("fetch_yogurt", 1, 1)]
    with pytest.raises(RecordingError, match="the session plan has none left"):
        recorder.start("", S)
    recorder.mark("failure")
    assert recorder.plan.next_task == "fetch_yogurt"
    assert load_plan(tmp_path / "plan.yaml", contract, bags).next_task == "fetch_yogurt"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("put_yogurt: 2", "has no mapping `tasks` such as {put_yogurt: 24}"),
        ("tasks: {put_yogurt: 0}", "'put_yogurt' is wanted 0 times; at least 1"),
        ("tasks: {put_yoghurt: 1}", "task 'put_yoghurt' is unknown; did you mean 'put_yogurt'"),
        ("tasks: [", "can't be read"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    contract: Contract, tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_plan(tmp_path / "plan.yaml", contract, tmp_path)


def test_a_button_that_stays_down_is_told_once() -> None:
    buttons = EpisodeButtons(["start:0", "success:2"])
    presses = [[1, 0, 0], [0, 0, 0], [1, 0, 1], [1, 0, 1], [0, 0], [1, 0, 0]]
    assert [buttons.pressed(one) for one in presses] == [[], [], ["start", "success"], [], [], ["start"]]
    with pytest.raises(UnknownNameError, match="episode button 'begin' is unknown"):
        EpisodeButtons(["begin:1"])
    with pytest.raises(ConfigError, match="episode button 'redo:0' is not of the form redo:NUMBER, each"):
        EpisodeButtons(["start:0", "redo:0"])


def test_simulated_time_is_that_of_the_receipt_however_late_the_callback() -> None:
    clock = SimulatedTime()
    assert clock.ros_ns(5) is None
    for tick in range(10):
        clock.tick(1000 + 10 * tick, 50 * tick)
    assert [clock.ros_ns(system) for system in (1000, 1009, 1010, 1055, 5000)] == [0, 0, 50, 250, 450]
    clock.tick(500, 7)  # the system's clock was set back
    assert clock.ros_ns(600) == 7


def test_calibration_files_go_into_the_bag_with_their_hashes(
    contract: Contract, messages: list[Raw], tmp_path: Path
) -> None:
    file = tmp_path / "hand_eye.yaml"
    file.write_text("x: 1\n")
    origin = provenance(robot_serial="XI130", calibration=[str(file)], source=Path(__file__).parent)
    recorder = Recorder(contract, tmp_path / "bags", origin=origin)
    feed(recorder, messages)
    recorder.start("put_yogurt", S)
    custom = custom_data(recorder.stop("success").path)
    assert custom["robot_serial"] == "XI130"
    assert '"name": "hand_eye.yaml", "sha256": "' in custom["calibration"]
    assert custom["git_revision"] == origin["git_revision"]
    with pytest.raises(RecordingError, match=r"calibration file .*none\.yaml can't be read: No such file"):
        provenance(robot_serial="", calibration=[str(tmp_path / "none.yaml")], source=tmp_path)
