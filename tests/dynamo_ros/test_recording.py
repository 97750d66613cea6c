"""Recording episodes into bags."""

import hashlib
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import Reader

from bag_factory import Raw, episode_messages, files_no_larger_than, image_message, serialize, write_bag
from dynamo_policies.bags import find_bags, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.mcap import (
    CHUNK,
    MAGIC,
    MESSAGE,
    Directory,
    open_file,
    read_chunk,
    read_message,
    records,
    unpack,
)
from dynamo_policies.mcap_reader import read
from dynamo_policies.mcap_writer import Compression
from dynamo_policies.repair import repair
from dynamo_ros.core.bag_topics import qos
from dynamo_ros.core.recorder import Recorder
from dynamo_ros.core.recording import EpisodeWriter, RecordingError, Topic, topics_of
from dynamo_ros.core.storage_settings import StorageSettings

IMAGE_TOPIC = "/fixed/camera/color/image_raw"
OUTCOME_DEFINITION = "std_msgs/Header header\nstring task\nbool success\n"


def read_all(path: Path) -> list[Raw]:
    with Reader(path) as reader:
        return [Raw(connection.topic, data, stamp) for connection, stamp, data in reader.messages()]


def test_what_is_written_is_read_back_byte_for_byte(contract: Contract, tmp_path: Path) -> None:
    messages = episode_messages(contract, 0.5)
    path = write_bag(tmp_path / "episode", contract, messages)
    assert sorted(read_all(path)) == sorted(messages)


def test_the_summary_counts_what_is_in_the_bag(contract: Contract, tmp_path: Path) -> None:
    messages = episode_messages(contract, 0.5)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    for raw in messages:
        writer.write(*raw)
    assert (writer.messages, writer.dropped) == (len(messages), 0)
    summary = writer.close("success")
    assert summary.path == tmp_path / "episode"
    assert summary.messages == len(messages) == read_info(summary.path).messages
    assert summary.bytes == sum(len(raw.data) for raw in messages)
    assert summary.seconds == pytest.approx((messages[-1].receive_ns - messages[0].receive_ns) / 1e9)
    assert (summary.dropped, summary.error) == (0, "")


def test_the_bag_says_what_the_episode_was(contract: Contract, tmp_path: Path) -> None:
    writer = EpisodeWriter(
        tmp_path / "episode", contract, "put_yogurt", operator="a", note="first", versions={"dynamo": "1"}
    )
    info = read_info(writer.close("failure", "dropped it").path)
    assert (info.task, info.outcome, info.operator, info.note) == (
        "put_yogurt",
        "failure",
        "a",
        "first; dropped it",
    )
    assert info.prompt == contract.tasks["put_yogurt"].prompt
    assert info.contract == contract
    assert info.versions["dynamo"] == "1"
    assert "rosbags" in info.versions


def test_no_bag_is_seen_before_it_is_closed(contract: Contract, tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert visible == []
    writer.close("success")
    assert [path.name for path in tmp_path.iterdir()] == ["episode"]
    assert find_bags(tmp_path) == [tmp_path / "episode"]


def test_a_discarded_episode_leaves_nothing(contract: Contract, tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    for raw in episode_messages(contract, 0.2):
        writer.write(*raw)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_full_queue_drops_and_counts_by_topic(contract: Contract, tmp_path: Path) -> None:
    data = serialize(image_message(np.zeros((128, 128, 3), np.uint8)))
    writer = EpisodeWriter(
        tmp_path / "episode",
        contract,
        "put_yogurt",
        settings=StorageSettings(queue_mb=2 * len(data) / (1 << 20)),
    )
    accepted = [writer.write(IMAGE_TOPIC, data, index + 1) for index in range(2000)]
    dropped = accepted.count(False)
    assert dropped == writer.dropped > 0
    summary = writer.close("success")
    assert (summary.messages, summary.dropped) == (2000 - dropped, dropped)
    assert read_info(summary.path).dropped == {IMAGE_TOPIC: dropped}
    assert [raw.receive_ns for raw in read_all(summary.path)] == [
        i + 1 for i, kept in enumerate(accepted) if kept
    ]


def write_on(writer: EpisodeWriter, data: bytes) -> None:
    """Write images until that is refused."""
    deadline = time.monotonic() + 60
    for index in itertools.count():
        writer.write(IMAGE_TOPIC, data, index)
        assert time.monotonic() < deadline, "the disk's error has not surfaced"


def test_a_full_disk_surfaces_and_keeps_what_was_written(contract: Contract, tmp_path: Path) -> None:
    data = serialize(image_message(np.zeros((128, 128, 3), np.uint8)))
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    with files_no_larger_than(3 << 20):
        with pytest.raises(RecordingError, match="File too large"):
            write_on(writer, data)
        summary = writer.close("success")
    assert "File too large" in summary.error
    assert summary.dropped > 0
    assert not (tmp_path / "episode").exists()
    assert read_info(repair(summary.path).path).messages > 40  # of 49 kB each, in 3 MiB


def test_a_disk_that_fills_up_at_the_end_is_told_in_the_summary(contract: Contract, tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    with files_no_larger_than(64):
        assert "could not complete" in writer.close("success").error


def test_metadata_holds_what_ros2_bag_info_reads(episode_bag: Path) -> None:
    metadata = yaml.safe_load((episode_bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (metadata["version"], metadata["storage_identifier"]) == (9, "mcap")
    assert metadata["relative_file_paths"] == ["episode_0.mcap"]
    topic = metadata["topics_with_message_count"][0]["topic_metadata"]
    assert topic["type"] == "sensor_msgs/msg/Image"
    assert topic["type_description_hash"].startswith("RIHS01_")
    assert topic["offered_qos_profiles"][0]["reliability"] == "reliable"
    assert topic["offered_qos_profiles"][0]["depth"] == 20
    assert json.loads(metadata["custom_data"]["dropped"]) == {}


def test_message_definitions_are_in_the_bag(episode_bag: Path) -> None:
    with Reader(episode_bag) as reader:
        assert all("std_msgs/Header header" in connection.msgdef.data for connection in reader.connections)


def test_streams_that_share_a_topic_are_recorded_once(contract: Contract) -> None:
    names = [topic.name for topic in topics_of(contract)]
    assert names.count("/xarm/joint_states") == 1


def test_a_type_of_its_own_is_recorded_with_its_definition(contract: Contract, tmp_path: Path) -> None:
    topic = Topic("/station/outcome", "dynamo_interfaces/msg/Outcome", definition=OUTCOME_DEFINITION)
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt", [topic])
    writer.write("/station/outcome", b"\x00\x01\x00\x00", 1)
    path = writer.close("success").path
    with Reader(path) as reader:
        (connection,) = (c for c in reader.connections if c.topic == "/station/outcome")
        assert "bool success" in connection.msgdef.data


def test_an_unknown_type_without_definition_is_an_error(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="'a/msg/B' of topic '/b' is not known; give its definition"):
        EpisodeWriter(tmp_path / "episode", contract, "put_yogurt", [Topic("/b", "a/msg/B")])


def test_an_existing_bag_is_never_overwritten(contract: Contract, tmp_path: Path) -> None:
    write_bag(tmp_path / "episode", contract, [])
    with pytest.raises(RecordingError, match="exists already"):
        EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")


def test_an_unknown_topic_task_or_outcome_is_an_error(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="task 'put_yoghurt' is unknown; did you mean 'put_yogurt'"):
        EpisodeWriter(tmp_path / "episode", contract, "put_yoghurt")
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    with pytest.raises(UnknownNameError, match="topic '/other' is unknown"):
        writer.write("/other", b"", 1)
    with pytest.raises(UnknownNameError, match="outcome 'good' is unknown"):
        writer.close("good")
    writer.discard()


def test_a_folder_that_cannot_be_written_is_an_error(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="can't write to"):
        EpisodeWriter(tmp_path / "file" / "episode", contract, "put_yogurt")


def write_all(path: Path, contract: Contract, settings: StorageSettings) -> tuple[Path, list[Raw]]:
    messages = episode_messages(contract, 0.5)
    writer = EpisodeWriter(path, contract, "put_yogurt", settings=settings)
    for raw in messages:
        writer.write(*raw, publish_ns=raw.receive_ns - 7)
    return writer.close("success").path, messages


def test_an_sqlite_bag_holds_the_same(contract: Contract, tmp_path: Path) -> None:
    path, messages = write_all(tmp_path / "episode", contract, StorageSettings(storage="sqlite3"))
    assert sorted(read_all(path)) == sorted(messages)
    assert read_info(path).files[0].suffix == ".db3"
    assert load_episode(path, FrameSettings(8)).state.shape[1] == 8


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_chunks_hold_the_same_in_fewer_bytes(
    contract: Contract, tmp_path: Path, compression: Compression
) -> None:
    settings = StorageSettings(compression=compression, image_compression=compression)
    path, messages = write_all(tmp_path / "episode", contract, settings)
    assert sorted(read_all(path)) == sorted(messages)
    assert read_info(path).bytes < sum(len(raw.data) for raw in messages) / 2


def test_images_stored_as_jpeg_are_read_as_the_contracts_streams(contract: Contract, tmp_path: Path) -> None:
    plain, _ = write_all(tmp_path / "plain", contract, StorageSettings())
    packed, _ = write_all(tmp_path / "packed", contract, StorageSettings(images="jpeg", jpeg_quality=95))
    with Reader(packed) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
    assert kinds[IMAGE_TOPIC + "/compressed"] == "sensor_msgs/msg/CompressedImage"
    assert IMAGE_TOPIC not in kinds
    metadata = yaml.safe_load((packed / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["custom_data"]["images"] == "jpeg 95"
    ours, theirs = (load_episode(path, FrameSettings(32)) for path in (packed, plain))
    assert ours.bag_hash != theirs.bag_hash
    assert (ours.tick_ns == theirs.tick_ns).all()
    for camera, images in theirs.images.items():
        assert np.abs(ours.images[camera].astype(int) - images).mean() < 2


def test_stream_hashes_are_those_of_the_bytes_in_the_bag(contract: Contract, tmp_path: Path) -> None:
    path, messages = write_all(tmp_path / "episode", contract, StorageSettings())
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    hashes = json.loads(metadata["custom_data"]["stream_hashes"])
    expected = hashlib.sha256(b"".join(raw.data for raw in messages if raw.topic == IMAGE_TOPIC))
    assert hashes[IMAGE_TOPIC] == expected.hexdigest()


def test_log_time_is_of_the_receipt_and_publish_time_of_the_source(
    contract: Contract, tmp_path: Path
) -> None:
    path, messages = write_all(tmp_path / "episode", contract, StorageSettings())
    times = {
        (message.receive_ns, message.publish_ns)
        for _, message in read(open_file(path / "episode.mcap"), lambda _channel: True)
    }
    assert times == {(raw.receive_ns, raw.receive_ns - 7) for raw in messages}


def test_what_publishers_offer_is_in_the_bag(contract: Contract, tmp_path: Path) -> None:
    offered = (qos("best_effort", 5), qos("reliable", 1, latched=True))
    topic = Topic(IMAGE_TOPIC, "sensor_msgs/msg/Image", offered=offered)
    path = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt", [topic]).close("success").path
    with Reader(path) as reader:
        (connection,) = (one for one in reader.connections if one.topic == IMAGE_TOPIC)
    assert connection.ext.offered_qos_profiles == list(offered)


def test_an_episode_says_when_the_reserve_is_reached_and_ends_whole(
    contract: Contract, tmp_path: Path
) -> None:
    writer = EpisodeWriter(
        tmp_path / "episode", contract, "put_yogurt", settings=StorageSettings(reserve_mb=1e9)
    )
    messages = episode_messages(contract, 0.2)
    for raw in messages:
        writer.write(*raw)
    deadline = time.monotonic() + 60
    while not writer.full and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "MB are free on the disk of" in writer.full
    summary = writer.close("unknown")
    assert (summary.error, summary.messages) == ("", len(messages))


def test_ending_an_episode_does_not_wait_for_the_disk(contract: Contract, tmp_path: Path) -> None:
    first = EpisodeWriter(tmp_path / "first", contract, "put_yogurt")
    for raw in episode_messages(contract, 1.0):
        first.write(*raw)
    first.end("success")
    second = EpisodeWriter(tmp_path / "second", contract, "put_yogurt")  # while the first is completed
    assert first.summary().outcome == "success"
    assert first.done
    second.discard()
    assert find_bags(tmp_path) == [tmp_path / "first"]


def compressions(file: Path) -> dict[str, str]:
    """Return how the chunks are compressed that have each topic's messages."""
    directory, found = Directory(), {}
    view = open_file(file)
    for record in records(view[len(MAGIC) : -len(MAGIC)]):
        directory.learn(record)
        if record.kind != CHUNK:
            continue
        chunk = read_chunk(record)
        for inner in records(unpack(chunk)):
            directory.learn(inner)
            if inner.kind == MESSAGE:
                found[directory.channels[read_message(inner.body).channel].topic] = chunk.compression
    return found


def test_single_topics_are_stored_otherwise(contract: Contract, tmp_path: Path) -> None:
    settings = StorageSettings(per_topic=f"fixed=jpeg,{contract.streams['arm'].topic}=zstd,wrist=lz4")
    path, messages = write_all(tmp_path / "episode", contract, settings)
    found = compressions(path / "episode.mcap")
    wrist, arm = contract.streams["wrist"].topic, contract.streams["arm"].topic
    assert found[IMAGE_TOPIC + "/compressed"] == ""
    assert (found[wrist], found[arm]) == ("lz4", "zstd")
    assert found["/dynamo/target_pose"] == ""
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["custom_data"]["images"] == f"jpeg 90: {IMAGE_TOPIC}"
    others = [raw for raw in messages if raw.topic != IMAGE_TOPIC]
    assert sorted(raw for raw in read_all(path) if raw.topic != IMAGE_TOPIC + "/compressed") == sorted(others)


def test_wishes_for_single_topics_that_can_not_be_met_are_refused(contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="per_topic has 'fixed'; possible is NAME=CHOICE"):
        StorageSettings(per_topic="fixed")
    with pytest.raises(UnknownNameError, match="choice in per_topic 'jpg' is unknown; did you mean 'jpeg'"):
        StorageSettings(per_topic="fixed=jpg")
    with pytest.raises(ConfigError, match="storage sqlite3 has no compression here"):
        StorageSettings(storage="sqlite3", per_topic="fixed=zstd")
    with pytest.raises(UnknownNameError, match="stream in per_topic 'fixd' is unknown; did you mean 'fixed'"):
        Recorder(contract, tmp_path, settings=StorageSettings(per_topic="fixd=jpeg"))
    with pytest.raises(ConfigError, match="per_topic wants JPEGs of /xarm/joint_states; possible are"):
        Recorder(contract, tmp_path, settings=StorageSettings(per_topic="arm=jpeg"))


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="compression 'zst' is unknown; did you mean 'zstd'"):
        StorageSettings(compression="zst")  # type: ignore[arg-type]  # what a user may type
    with pytest.raises(ConfigError, match="storage sqlite3 has no compression here"):
        StorageSettings(storage="sqlite3", compression="zstd")
