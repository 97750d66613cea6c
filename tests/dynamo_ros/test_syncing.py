"""A disk that takes its time with a sync does not keep messages from being handed to the system."""

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from bag_factory import episode_messages
from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract
from dynamo_ros.core import bag_writer, pen
from dynamo_ros.core.recording import EpisodeWriter
from dynamo_ros.core.syncing import Syncer


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_asked_for_during_a_sync_is_one_sync_more() -> None:
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def sync() -> None:
        begun.release()
        assert go.acquire(timeout=30.0)

    syncer = Syncer(sync, (OSError,), name="test")
    syncer.ask()
    assert begun.acquire(timeout=30.0)
    for _ in range(3):
        syncer.ask()
    go.release()
    assert begun.acquire(timeout=30.0)
    go.release(2)
    syncer.end()
    assert not begun.acquire(blocking=False)


def test_an_error_ends_the_syncing_and_is_kept() -> None:
    def sync() -> None:
        raise OSError(5, "Input/output error")

    syncer = Syncer(sync, (OSError,), name="test")
    syncer.ask()
    until(lambda: syncer.error is not None)
    syncer.ask()
    syncer.end()
    assert "Input/output error" in str(syncer.error)


def test_messages_reach_the_system_while_the_disk_syncs(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, go = threading.Event(), threading.Event()

    def slow(_descriptor: int) -> None:
        syncing.set()
        assert go.wait(60.0)

    monkeypatch.setattr(os, "fdatasync", slow)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    messages = episode_messages(contract, 1.0)
    for raw in messages[:50]:
        assert writer.write(*raw)
    assert syncing.wait(30.0)
    for raw in messages[50:]:
        assert writer.write(*raw)
    until(lambda: writer._bag.pen.safe == len(messages))
    go.set()
    assert writer.close("success").error == ""
    assert read_info(tmp_path / "episode").messages == len(messages)


def test_what_was_written_reaches_the_system_although_much_more_waits(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, go, writes = threading.Event(), threading.Event(), itertools.count()
    writev = os.writev

    def slow(descriptor: int, pieces: Sequence[bytes]) -> int:
        if next(writes) > 40:
            stuck.set()
            assert go.wait(60.0)
        return writev(descriptor, pieces)

    monkeypatch.setattr(bag_writer, "LOOK_S", 1.0)  # What comes in this second is taken at once.
    monkeypatch.setattr(pen, "FLUSH_S", 0.0)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    monkeypatch.setattr(os, "writev", slow)
    for raw in episode_messages(contract, 1.0):
        assert writer.write(*raw)
    assert stuck.wait(30.0)
    assert writer.waiting_bytes
    assert writer._bag.pen.safe
    go.set()
    writer.discard()


def test_a_disk_that_can_not_sync_stops_the_writing(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", failing)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    for raw in episode_messages(contract, 0.2):
        writer.write(*raw)
    until(lambda: writer._bag.error)
    assert "Input/output error" in writer.close("success").error


def test_a_sync_that_fails_when_the_episode_has_ended_is_told(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, ended = threading.Event(), threading.Event()

    class NotedSyncer(Syncer):
        def end(self) -> None:
            ended.set()
            super().end()

    def failing(_descriptor: int) -> None:
        syncing.set()
        assert ended.wait(60.0)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(bag_writer, "Syncer", NotedSyncer)
    monkeypatch.setattr(pen, "SYNC_BYTES", 0)
    monkeypatch.setattr(os, "fdatasync", failing)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    for raw in episode_messages(contract, 0.2):
        writer.write(*raw)
    assert syncing.wait(30.0)
    assert "Input/output error" in writer.close("success").error
    assert not (tmp_path / "episode").exists()
