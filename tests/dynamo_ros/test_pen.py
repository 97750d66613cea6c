"""How long a message that was written waits until it outlives the process, by a clock that the test sets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_ros.core import pen
from dynamo_ros.core.bag_files import IMAGE_CHUNK_BYTES, Item, McapBag
from dynamo_ros.core.bag_topics import COMPRESSED_IMAGE, IMAGE, Topic
from dynamo_ros.core.pen import FLUSH_S, SYNC_S, Pen
from dynamo_ros.core.storage_settings import StorageSettings

CAMERA, JOINTS, COMMAND = "/camera", "/joints", "/command"
TOPICS = (
    Topic(CAMERA, IMAGE),
    Topic(JOINTS, "sensor_msgs/msg/JointState"),
    Topic(COMMAND, "geometry_msgs/msg/PoseStamped"),
)
IMAGE_BYTES = 640 * 480 * 3


class SlowBag:
    """A bag on a disk that takes its time for each message; knows what has reached the system, and when."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waiting: list[tuple[str, float]] = []  # topic, and when it was written
        self.waited_s: dict[str, float] = {}
        self.flushes = 0

    def clock_s(self) -> float:
        return self.now_s

    def write(self, item: Item) -> None:
        self.waiting.append((item.topic, self.now_s))
        self.now_s += item.receive_ns / 1e9  # how long this one takes

    def flush(self) -> None:
        for topic, written_s in self.waiting:
            self.waited_s[topic] = max(self.waited_s.get(topic, 0.0), self.now_s - written_s)
        self.waiting.clear()
        self.flushes += 1

    def sync(self) -> None:
        """A pen asks whoever holds it to sync."""

    def finish(self, custom: Mapping[str, str]) -> None:
        """A pen does not finish."""

    def abort(self) -> None:
        """Nor does it abort."""


def pen_for(bag: SlowBag) -> Pen:
    return Pen(bag, TOPICS, StorageSettings(), {}, clock_s=bag.clock_s)


Step = tuple[str, float]  # a topic, and how many seconds its message takes to write
steps = st.lists(
    st.tuples(st.sampled_from((CAMERA, JOINTS, COMMAND)), st.floats(0.0, 0.08, allow_nan=False)),
    min_size=1,
    max_size=400,
)


@given(steps)
def test_no_topic_waits_longer_than_a_flush_and_one_message(given_steps: Sequence[Step]) -> None:
    bag = SlowBag()
    its = pen_for(bag)
    for topic, takes_s in given_steps:
        its.write(Item(topic, bytes(8), int(takes_s * 1e9)))
        its.flush()
        oldest_s = min((written_s for _, written_s in bag.waiting), default=bag.now_s)
        assert bag.now_s - oldest_s < FLUSH_S
    longest_s = max(takes_s for _, takes_s in given_steps)
    assert max(bag.waited_s.values(), default=0.0) <= FLUSH_S + longest_s + 1e-6
    assert its.safe == its.written - len(bag.waiting)


def test_what_is_quick_is_not_handed_over_more_often_than_it_must_be() -> None:
    bag = SlowBag()
    its = pen_for(bag)
    for _ in range(1000):
        its.write(Item(JOINTS, bytes(8), 1_000_000))
        its.flush()
    assert bag.flushes == pytest.approx(1.0 / FLUSH_S, abs=1)


def test_a_small_message_is_in_the_file_however_far_its_chunk_is_from_full(tmp_path: Path) -> None:
    now_s, command = [0.0], b"a command" * 13
    bag = McapBag(tmp_path / "bag", TOPICS, StorageSettings())
    its = Pen(bag, TOPICS, StorageSettings(), {}, clock_s=lambda: now_s[0])
    its.write(Item(COMMAND, command, 1))
    for stamp_ns in range(2, 2 + 2 * IMAGE_CHUNK_BYTES // IMAGE_BYTES):
        its.write(Item(CAMERA, bytes(IMAGE_BYTES), stamp_ns))
    file = tmp_path / "bag/bag.mcap"
    assert file.stat().st_size > IMAGE_CHUNK_BYTES  # Images go when there are enough of them.
    assert not its.flush()
    assert command not in file.read_bytes()
    now_s[0] = FLUSH_S
    assert its.flush()
    assert command in file.read_bytes()
    bag.abort()


def test_a_sync_is_wanted_after_its_time_or_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pen, "SYNC_BYTES", 1000)
    bag = SlowBag()
    its = pen_for(bag)
    bag.now_s = 2 * SYNC_S
    assert not its.wants_sync()  # Nothing was written.
    its.write(Item(JOINTS, bytes(8), 0))
    assert its.wants_sync()
    assert not its.wants_sync()
    its.write(Item(JOINTS, bytes(1000), 0))
    assert not its.wants_sync()
    its.write(Item(JOINTS, bytes(1), 0))
    assert its.wants_sync()


def test_an_image_that_is_none_is_counted_and_in_no_hash() -> None:
    bag, stored = SlowBag(), f"{CAMERA}/compressed"
    topics = (Topic(stored, COMPRESSED_IMAGE), *TOPICS[1:])
    its = Pen(bag, topics, StorageSettings(), {CAMERA: stored}, clock_s=bag.clock_s)
    its.write(Item(CAMERA, b"no image", 0))
    its.write(Item(JOINTS, b"joints", 0))
    assert (its.refused[CAMERA], its.written, its.refusal != "") == (1, 1, True)
    assert [topic for topic, _ in bag.waiting] == [JOINTS]
    hashes = json.loads(its.stream_hashes()["stream_hashes"])
    assert hashes[JOINTS] == sha256(b"joints").hexdigest()
    assert hashes[stored] == sha256(b"").hexdigest()
