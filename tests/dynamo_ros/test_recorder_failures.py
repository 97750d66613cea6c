"""What the recorder does when a disk, a thread or a person fails."""

import fcntl
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bag_factory import Raw, episode_messages, files_no_larger_than, image_message, serialize
from dynamo_policies.bags import find_bags, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.verdict import KEY, parse_verdict
from dynamo_ros.core import bag_writer, pen
from dynamo_ros.core.recorder import Recorder
from dynamo_ros.core.recording import EpisodeSummary, EpisodeWriter, RecordingError
from dynamo_ros.core.recording_plan import RecordingPlan
from dynamo_ros.core.storage_settings import StorageSettings

S = 1_000_000_000
WRIST = "/wrist/camera/color/image_raw"


@pytest.fixture
def messages(contract: Contract) -> list[Raw]:
    return episode_messages(contract, 0.3)


@pytest.fixture
def recorder(contract: Contract, messages: list[Raw], tmp_path: Path) -> Recorder:
    made = Recorder(contract, tmp_path, plan=RecordingPlan({"put_yogurt": 3}))
    feed(made, messages)
    return made


def feed(recorder: Recorder, messages: list[Raw]) -> None:
    for raw in messages:
        recorder.saw(*raw)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def failed(recorder: Recorder, messages: list[Raw]) -> EpisodeSummary:
    """Record an episode that the disk ends, and return what `tend` tells of it."""
    recorder.start("put_yogurt", S)
    recorder.mark("success")
    told: list[EpisodeSummary] = []
    with files_no_larger_than(1 << 10):
        feed(recorder, messages)
        until(lambda: told.extend(recorder.tend()) or told)
    return told[0]


def done(recorder: Recorder) -> int:
    return recorder.plan.tasks[0].done


def test_a_redo_after_a_discard_leaves_the_episode_before_alone(recorder: Recorder, tmp_path: Path) -> None:
    recorder.start("put_yogurt", S)
    good = recorder.stop("success").path
    recorder.start("fetch_yogurt", 2 * S)
    recorder.discard()
    with pytest.raises(RecordingError, match="nothing to mark: the last episode was discarded"):
        recorder.mark("failure")
    assert recorder.redo(3 * S).name == "fetch_yogurt_000"
    recorder.stop("failure")
    assert good in find_bags(tmp_path)
    assert done(recorder) == 1


def test_a_redo_that_can_not_start_sets_nothing_aside(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.start("put_yogurt", S)
    good = recorder.stop("success").path
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    with pytest.raises(RecordingError, match="MB are needed to start"):
        recorder.redo(2 * S)
    assert (good.is_dir(), done(recorder)) == (True, 1)


def test_a_failing_disk_ends_the_episode_which_does_not_count(
    recorder: Recorder, messages: list[Raw], tmp_path: Path
) -> None:
    summary = failed(recorder, messages)
    assert not recorder.recording
    assert "File too large" in summary.error
    assert "File too large" in recorder.failure
    assert [path.name for path in tmp_path.iterdir()] == [".put_yogurt_000.part"]
    assert done(recorder) == 0


def test_an_episode_that_was_not_saved_can_be_redone_and_stays_for_repair(
    recorder: Recorder, messages: list[Raw]
) -> None:
    kept = failed(recorder, messages).path
    with pytest.raises(RecordingError, match="nothing to mark: the last episode was not saved: writing"):
        recorder.mark("success")
    assert recorder.redo(2 * S).name == "put_yogurt_001"
    recorder.stop("success")
    assert (kept.is_dir(), done(recorder)) == (True, 1)


def test_an_episode_that_can_not_be_completed_is_taken_back_from_the_plan(recorder: Recorder) -> None:
    recorder.start("put_yogurt", S)
    with files_no_larger_than(64):
        ending = recorder.end("success")
        until(lambda: ending.done)
    assert done(recorder) == 1
    error = recorder.tend()[0].error
    assert "could not complete" in error
    assert recorder.failure == error
    assert done(recorder) == 0


def test_who_waits_for_an_episode_does_not_keep_others_from_hearing_of_it(recorder: Recorder) -> None:
    recorder.start("put_yogurt", S)
    stopped = recorder.stop("success")
    recorder.mark("failure")
    assert recorder.tend() == [stopped]
    assert recorder.tend() == []


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), OSError(5, "broken")])
def test_a_bag_that_can_not_be_opened_is_refused(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sqlite3, "connect", failing)
    with pytest.raises(RecordingError, match=r"can't write to .*: (disk I/O error|broken)"):
        EpisodeWriter(
            tmp_path / "episode", contract, "put_yogurt", settings=StorageSettings(storage="sqlite3")
        )


def test_a_bag_whose_description_can_not_be_written_is_refused_and_leaves_nothing(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(RecordingError, match=r"can't write to .*\.episode\.part: No space left on device"):
        EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    assert list(tmp_path.iterdir()) == []
    opened = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert [path for path in opened if path.startswith(str(tmp_path))] == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_nobody_foresaw_when_a_bag_is_opened_refuses_it(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ValueError("no such lock")

    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(RecordingError, match=r"the thread that writes .*episode ended unexpectedly"):
        EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_nobody_foresaw_while_writing_ends_the_episode_and_is_told(
    contract: Contract, messages: list[Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ValueError("no such call")

    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    monkeypatch.setattr(os, "writev", failing)
    for raw in messages:
        writer.write(*raw)
    until(lambda: writer.error)
    writer.end("success")
    assert writer.done
    summary = writer.summary()
    assert "ended unexpectedly" in summary.error
    assert summary.path == tmp_path / ".episode.part"
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_opens_no_bag_is_not_waited_for_and_leaves_nothing(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(bag_writer, "OPEN_S", 0.01)
    monkeypatch.setattr(fcntl, "flock", lambda *_: go.wait(30.0))
    with pytest.raises(RecordingError, match=r"the disk of .* opened no bag within 0\.01 s"):
        EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    go.set()
    until(lambda: not list(tmp_path.iterdir()))


def test_a_disk_that_is_late_still_completes_the_bag(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    fsync = os.fsync
    monkeypatch.setattr(bag_writer, "JOIN_S", 0.01)
    monkeypatch.setattr(os, "fsync", lambda descriptor: go.wait(30.0) and fsync(descriptor))
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    assert "did not take the rest within 0.01 s" in writer.close("success").error
    go.set()
    until(lambda: writer.done)
    monkeypatch.setattr(bag_writer, "JOIN_S", 30.0)
    assert (writer.summary().error, writer.summary().path) == ("", tmp_path / "episode")


def test_images_that_jpeg_refuses_are_dropped_and_the_verdict_says_why(
    contract: Contract, messages: list[Raw], tmp_path: Path
) -> None:
    writer = EpisodeWriter(
        tmp_path / "episode", contract, "put_yogurt", settings=StorageSettings(images="jpeg")
    )
    odd = serialize(image_message(np.zeros((128, 128), np.uint16), encoding="bayer_rggb16"))
    for raw in messages:
        writer.write(*raw)
    writer.write(WRIST, odd, messages[-1].receive_ns)
    summary = writer.close("success")
    assert (summary.error, summary.dropped, summary.messages) == ("", 1, len(messages))
    info = read_info(summary.path)
    assert info.dropped == {WRIST: 1}
    stored = parse_verdict(info.custom[KEY])
    assert stored == summary.verdict
    assert stored.colour == "red"
    assert "wrist: 1 images were not stored: an image can't be made a JPEG" in str(stored)


def test_a_pre_roll_larger_than_the_queue_keeps_the_moments_before_the_start(
    contract: Contract, tmp_path: Path
) -> None:
    recorder = Recorder(contract, tmp_path, settings=StorageSettings(queue_mb=0.5), preroll_s=0.5)
    messages = episode_messages(contract, 1.0)
    feed(recorder, messages)
    recorder.start("put_yogurt", messages[-1].receive_ns)
    assert "s of the pre-roll are missing: half of queue_mb held no more" in recorder.warning
    assert recorder.status(messages[-1].receive_ns).dropped == 0
    info = read_info(recorder.stop("success").path)
    assert info.start_ns + info.duration_ns == messages[-1].receive_ns
    assert json.loads(info.custom["dropped"]) == {}
    recorder.start("put_yogurt", messages[-1].receive_ns + 10 * S)
    assert recorder.warning == ""


def test_the_folders_of_a_recording_are_synced_while_it_goes_on(
    contract: Contract, messages: list[Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(pen, "SYNC_BYTES", 0)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    part = tmp_path / ".episode.part"
    for raw in messages:
        writer.write(*raw)
    until(lambda: {str(path) for path in (part / "about.json", part / "episode", part, tmp_path)} <= synced)
    writer.discard()
