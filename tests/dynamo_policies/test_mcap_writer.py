from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from dynamo_policies.mcap import CHUNK, MAGIC, open_file, read_chunk, records
from dynamo_policies.mcap_reader import Losses, read, salvage
from dynamo_policies.mcap_writer import Compression, Group, McapFile

STRING = "string data\n"
METADATA = """rosbag2_bagfile_information:
  {version: 9, storage_identifier: mcap, relative_file_paths: [bag.mcap], duration: {nanoseconds: 10},
   starting_time: {nanoseconds_since_epoch: 1}, message_count: 2, topics_with_message_count: [],
   compression_format: '', compression_mode: '', files: [], custom_data: {}, ros_distro: jazzy}
"""


def text_message(text: str) -> bytes:
    return b"\0\1\0\0" + (len(text) + 1).to_bytes(4, "little") + text.encode() + b"\0"


def file_of(path: Path, large: Compression = "none", small: Compression = "none") -> McapFile:
    file = McapFile(path, {"large": Group(large, checksum=False), "small": Group(small)}, library="test")
    for topic in ("/large", "/small"):
        file.add_channel(topic, "std_msgs/msg/String", STRING, group=topic[1:])
    return file


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_two_readers_find_every_message_by_time(tmp_path: Path, compression: Compression) -> None:
    file = file_of(tmp_path / "bag.mcap", compression, "zstd")
    messages = []
    for index in range(300):
        channel = 1 + index % 3 // 2
        messages.append((channel, 1000 + index, text_message("x" * (index * 97 % 9000))))
        file.write(channel, messages[-1][2], log_ns=1000 + index, publish_ns=900 + index)
    file.finish({})
    found = [
        (channel.number, message.receive_ns, bytes(message.data))
        for channel, message in read(open_file(tmp_path / "bag.mcap"), lambda _channel: True)
    ]
    assert found == messages
    (tmp_path / "metadata.yaml").write_text(METADATA)
    with Reader(tmp_path / "bag.mcap") as reader:
        foreign = [(connection.topic, ns, bytes(data)) for connection, ns, data in reader.messages()]
    assert foreign == [(("/large", "/small")[number - 1], ns, data) for number, ns, data in messages]


def test_both_times_of_a_message_are_kept(tmp_path: Path) -> None:
    file = file_of(tmp_path / "bag.mcap")
    file.write(1, text_message("a"), log_ns=20, publish_ns=10)
    file.finish({})
    ((_, message),) = read(open_file(tmp_path / "bag.mcap"), lambda _channel: True)
    assert (message.receive_ns, message.publish_ns) == (20, 10)


def test_what_was_flushed_is_there_though_the_file_has_no_end(tmp_path: Path) -> None:
    file = file_of(tmp_path / "bag.mcap", "lz4", "zstd")
    for index in range(50):
        file.write(1 + index % 2, text_message(str(index)), log_ns=index, publish_ns=index)
    file.flush()
    file.write(1, text_message("later"), log_ns=99, publish_ns=99)
    file.close()
    losses = Losses()
    stamps = [found.message.receive_ns for found in salvage(open_file(tmp_path / "bag.mcap"), losses)]
    assert sorted(stamps) == list(range(50))
    assert not losses.complete


def test_groups_do_not_share_chunks(tmp_path: Path) -> None:
    file = file_of(tmp_path / "bag.mcap", "none", "zstd")
    data = bytes(1 << 18)
    for index in range(8):
        file.write(1, data, log_ns=index, publish_ns=index)
        file.write(2, text_message("small"), log_ns=index, publish_ns=index)
    file.finish({})
    view = open_file(tmp_path / "bag.mcap")
    chunks = [read_chunk(one) for one in records(view[len(MAGIC) :]) if one.kind == CHUNK]
    assert [chunk.compression for chunk in chunks] == ["", "", "zstd"]
    assert chunks[-1].checksum


def test_an_empty_file_is_a_whole_one(tmp_path: Path) -> None:
    file_of(tmp_path / "bag.mcap").finish({"rosbag2": {"serialized_metadata": METADATA}})
    assert list(read(open_file(tmp_path / "bag.mcap"), lambda _channel: True)) == []
