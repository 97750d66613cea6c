"""Recordings that were cut off and damaged bags, repaired."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from bag_factory import Raw, episode_messages, files_no_larger_than, write_episode_bag
from dynamo_policies.bags import BagError, bag_hash, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.mcap import CHUNK, MAGIC, McapError, open_file, read_chunk, records
from dynamo_policies.mcap_reader import Losses, salvage
from dynamo_policies.repair import find_damaged, repair
from dynamo_policies.stream_hashes import check_hashes
from dynamo_policies.streams import ImageStream
from dynamo_ros.core.recording import EpisodeWriter
from foreign_bags import foreign_bag
from mcap_factory import channel_record, chunk, record, repacked, schema_record, text

# Records an episode and dies without closing it.
DYING = """
import os, sys, time
from pathlib import Path
from bag_factory import episode_messages
from dynamo_policies.contract import load_contract
from dynamo_ros.core.recording import EpisodeWriter
from foreign_bags import foreign_bag
from mcap_factory import channel_record, chunk, record, repacked, schema_record, text
contract = load_contract(sys.argv[1])
writer = EpisodeWriter(Path(sys.argv[2]), contract, "put_yogurt", operator="a", note="first")
for raw in episode_messages(contract, 2.0):
    writer.write(*raw)
while writer._bag.pen.safe < writer.messages:
    time.sleep(0.01)
os._exit(9)
"""


def read_all(path: Path) -> list[Raw]:
    with Reader(path) as reader:
        return [Raw(connection.topic, data, stamp) for connection, stamp, data in reader.messages()]


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recording whose process died; copy it before changing it."""
    folder = tmp_path_factory.mktemp("cut")
    contract = Path(__file__).parents[2] / "config" / "robots" / "xarm_kitchen.yaml"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", DYING, str(contract), str(folder / "episode")]
    assert subprocess.run(command, env=environment, timeout=240, check=False).returncode == 9
    return folder


@pytest.fixture
def own(cut_off: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(cut_off, tmp_path / "own"))


def test_an_episode_whose_recorder_died_is_recovered(own: Path, contract: Contract) -> None:
    (part,) = find_damaged(own)
    repaired = repair(part)
    path = repaired.path
    assert path == own / "episode"
    assert sorted(file.name for file in own.iterdir()) == [".episode.damaged", "episode"]
    assert find_damaged(own) == []
    written = set(episode_messages(contract, 2.0))
    found = set(read_all(path))
    assert found <= written
    assert len(found) > 0.8 * len(written)  # what was still in memory is lost: at most two chunks of 1 MiB
    info = read_info(path)
    assert (info.task, info.outcome, info.operator) == ("put_yogurt", "unknown", "a")
    assert info.note == "first; repaired: the recording was cut off or damaged"
    assert len(load_episode(path, FrameSettings(8))) > 10


def messages_of(file: Path, losses: Losses | None = None) -> list[Raw]:
    found = salvage(open_file(file), losses or Losses())
    return [Raw(one.channel.topic, bytes(one.message.data), one.message.receive_ns) for one in found]


@pytest.fixture(scope="module")
def whole_files(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Compression -> a whole MCAP file of several small chunks."""
    folder = tmp_path_factory.mktemp("whole")
    small = replace(
        contract,
        streams={
            name: replace(stream, width=32, height=24) if isinstance(stream, ImageStream) else stream
            for name, stream in contract.streams.items()
        },
    )
    bag = write_episode_bag(folder / "bag", small, seconds=1.0)
    plain = bag / "bag.mcap"
    return {name: repacked(plain, folder / f"{name or 'none'}.mcap", name) for name in ("", "zstd", "lz4")}


def cuts(size: int) -> list[int]:
    """Return where to cut a file of `size`: through its head and its end closely, else anywhere."""
    chosen = random.Random(size).sample(range(40, size - 12), 12)
    return [*range(0, 40, 6), *sorted(chosen), *range(size - 12, size, 3)]


@pytest.mark.parametrize("compression", ["", "zstd", "lz4"])
def test_wherever_a_file_is_cut_the_repaired_bag_is_a_prefix(
    whole_files: dict[str, Path], compression: str, contract: Contract, tmp_path: Path
) -> None:
    content, written = whole_files[compression].read_bytes(), messages_of(whole_files[compression])
    assert len(written) > 200
    counts = []
    for cut in cuts(len(content)):
        bag = tmp_path / f"bag_{cut}"
        bag.mkdir()
        (bag / "bag_0.mcap").write_bytes(content[:cut])
        if cut < len(MAGIC):
            with pytest.raises(BagError, match=r"left as it was: .* does not begin as an MCAP file"):
                repair(bag, contract)
            assert (bag / "bag_0.mcap").read_bytes() == content[:cut]
            continue
        assert find_damaged(bag) == [bag]
        repaired = repair(bag, contract, task="put_yogurt")
        info = read_info(repaired.path)
        kept = messages_of(repaired.path / f"bag_{cut}.mcap")
        assert kept == written[: len(kept)]
        assert info.messages == len(kept) == sum(repaired.kept.values())
        assert (repaired.original / "bag_0.mcap").read_bytes() == content[:cut]
        counts.append(len(kept))
    assert counts == sorted(counts)
    assert max(counts) == len(written)


@given(st.integers(0, 2**32))
def test_any_cut_loses_at_most_one_block_of_messages(whole_files: dict[str, Path], draw: int) -> None:
    for compression, block in (("", 10_000), ("zstd", 300_000), ("lz4", 300_000)):
        content = whole_files[compression].read_bytes()
        cut = 40 + draw % (len(content) - 40)
        losses = Losses()
        found = list(salvage(memoryview(content)[:cut], losses))
        size = sum(len(one.message.data) for one in found)
        assert losses.complete == (cut >= len(content) - len(MAGIC))
        if not compression:
            assert cut - size < block + 200 * len(found)


def test_bytes_lost_inside_a_checked_chunk_cost_that_chunk_and_are_counted(
    whole_files: dict[str, Path], tmp_path: Path
) -> None:
    content = bytearray(whole_files["zstd"].read_bytes())
    place = content.rindex(b"zstd") + 100  # within the last chunk
    content[place : place + 50] = bytes(50)
    file = tmp_path / "bag.mcap"
    file.write_bytes(content)
    losses = Losses()
    found, written = messages_of(file, losses), messages_of(whole_files["zstd"])
    assert 0 < len(found) < len(written)
    assert set(found) < set(written)
    assert losses.complete
    assert losses.bytes > 0


def test_messages_outlive_the_chunk_that_describes_them(
    episode_bag: Path, contract: Contract, tmp_path: Path
) -> None:
    bag = Path(shutil.copytree(episode_bag, tmp_path / "episode_0"))
    file = bag / "episode_0.mcap"
    content = bytearray(file.read_bytes())
    first = read_chunk(
        next(one for one in records(memoryview(bytes(content))[len(MAGIC) :]) if one.kind == CHUNK)
    )
    place = content.index(bytes(first.packed[:64]))
    content[place : place + 64] = b"\xff" * 64
    file.write_bytes(content)
    repaired = repair(bag)
    messages = read_info(episode_bag).messages
    assert 100 < sum(repaired.kept.values()) < messages
    assert sum(repaired.kept.values()) + sum(repaired.lost.values()) == messages


def test_a_half_copied_bag_is_repaired_and_its_losses_are_exact(
    episode_bag: Path, contract: Contract, tmp_path: Path
) -> None:
    bag = Path(shutil.copytree(episode_bag, tmp_path / "episode_0"))
    file = bag / "episode_0.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    other = Path(shutil.copytree(episode_bag, tmp_path / "before"))
    before = bag_hash(other)
    assert find_damaged(tmp_path) == [bag]
    repaired = repair(bag)
    info, whole = read_info(bag), read_info(episode_bag)
    assert {topic: info.counts.get(topic, 0) + repaired.lost.get(topic, 0) for topic in whole.counts} == (
        whole.counts
    )
    assert repaired.lost_s == pytest.approx(whole.seconds - info.seconds)
    assert 0.8 < repaired.lost_s < 1.2
    assert (info.task, info.outcome, info.contract) == ("put_yogurt", "success", contract)
    assert bag_hash(other) == before


def test_a_bag_that_lost_only_its_metadata_loses_nothing(
    episode_bag: Path, contract: Contract, tmp_path: Path
) -> None:
    bag = Path(shutil.copytree(episode_bag, tmp_path / "episode_0"))
    (bag / "metadata.yaml").write_bytes(b"\x00" * 64)
    repaired = repair(bag, contract, task="put_yogurt")
    assert (repaired.lost, repaired.lost_bytes, repaired.lost_s, repaired.complete) == ({}, 0, 0.0, True)
    assert set(read_all(bag)) == set(read_all(episode_bag))
    assert len(load_episode(bag, FrameSettings(8))) > 10


def test_a_finished_bag_that_was_not_yet_in_its_place_loses_nothing_it_says(
    episode_bag: Path, contract: Contract, tmp_path: Path
) -> None:
    part = tmp_path / ".episode_0.part"
    shutil.copytree(episode_bag, part / "episode_0")
    before = read_info(episode_bag)
    begun = {"contract": before.custom["contract"], "task": "put_yogurt", "outcome": "unknown"}
    (part / "about.json").write_text(json.dumps(begun))
    repaired = repair(part)
    info = read_info(repaired.path)
    assert (repaired.lost, repaired.lost_bytes, repaired.lost_s, repaired.complete) == ({}, 0, 0.0, True)
    assert info.outcome == "success"
    assert {key: text for key, text in info.custom.items() if key != "note"} == {
        key: text for key, text in before.custom.items() if key != "note"
    }
    assert check_hashes(info) == []


def test_a_recording_whose_description_was_lost_is_repaired_with_a_given_contract(
    own: Path, contract: Contract
) -> None:
    (part,) = find_damaged(own)
    (part / "about.json").write_bytes(b"")
    info = read_info(repair(part, contract, task="fetch_yogurt").path)
    assert (info.task, info.contract.hash) == ("fetch_yogurt", contract.hash)


def test_where_the_disk_is_full_all_is_left_as_it_was(own: Path) -> None:
    (part,) = find_damaged(own)
    before = sorted(file for file in own.rglob("*"))
    with files_no_larger_than(100_000), pytest.raises(BagError, match=r"left as it was: File too large"):
        repair(part)
    assert sorted(file for file in own.rglob("*")) == before
    assert repair(part).path.is_dir()


def test_definitions_of_unknown_types_are_kept_as_they_are(tmp_path: Path) -> None:
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg("uint8 first\nfloat32 second", "lab_msgs/msg/Grip"))
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/grip", "lab_msgs/msg/Grip", typestore=types)
        writer.write(connection, 5, b"\x00\x01\x00\x00\x07" + bytes(7))
    (tmp_path / "bag" / "metadata.yaml").unlink()
    with Reader(repair(tmp_path / "bag").path) as reader:
        (found,) = reader.connections
        assert (found.digest, found.msgdef) == (connection.digest, connection.msgdef)


def test_a_file_without_a_header_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(b"")
    with pytest.raises(McapError, match=r"a\.mcap does not begin as an MCAP file \(0 bytes\)"):
        open_file(tmp_path / "a.mcap")


def test_qos_and_definitions_survive(own: Path) -> None:
    with Reader(repair(find_damaged(own)[0]).path) as reader:
        (connection,) = (c for c in reader.connections if c.topic == "/dynamo/target_pose")
    assert connection.ext.offered_qos_profiles[0].depth == 20  # type: ignore[union-attr]  # a ROS 2 bag
    assert connection.digest.startswith("RIHS01_")
    assert "geometry_msgs/Pose pose" in connection.msgdef.data


def test_a_recording_in_progress_is_left_alone(contract: Contract, tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    with pytest.raises(BagError, match="is still being recorded"):
        repair(find_damaged(tmp_path)[0])
    writer.discard()
    assert find_damaged(tmp_path) == []


def test_an_existing_bag_is_not_replaced(own: Path) -> None:
    (own / "episode").mkdir()
    with pytest.raises(BagError, match=r"can't be repaired to .*episode, which exists"):
        repair(find_damaged(own)[0])


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"no unfinished recording; that has about\.json"):
        repair(tmp_path)


def test_an_image_of_a_recovered_bag_is_whole(own: Path) -> None:
    episode = load_episode(repair(find_damaged(own)[0]).path, FrameSettings(8))
    assert (np.diff(episode.images["fixed"][:, 0, 0, 0].astype(int)) == 3).all()


def test_times_of_publication_and_sequence_numbers_survive(tmp_path: Path) -> None:
    content = schema_record(1, "std_msgs/msg/String", "string data") + channel_record(1, 1, "/a")
    message = struct.pack("<HIQQ", 1, 42, 2_000, 1_500) + b"\x00\x01\x00\x00\x01\x00\x00\x00\x00"
    (tmp_path / "bag").mkdir()
    whole = MAGIC + record(1, text("ros2") + text("")) + chunk(content + record(5, message), "zstd")
    (tmp_path / "bag" / "bag_0.mcap").write_bytes(whole)
    (found,) = salvage(open_file(repair(tmp_path / "bag").path / "bag.mcap"), Losses())
    assert (found.message.receive_ns, found.message.publish_ns, found.message.sequence) == (2_000, 1_500, 42)
    assert found.message.data == message[22:]


def test_what_a_database_has_committed_is_repaired(contract: Contract, tmp_path: Path) -> None:
    types = {stream.topic: stream.type for stream in contract.streams.values()}
    messages = episode_messages(contract, 0.5)
    bag = foreign_bag(tmp_path / "bag", types, messages, storage="sqlite3")
    (bag / "metadata.yaml").unlink()
    repaired = repair(bag, contract, task="put_yogurt")
    assert sum(repaired.kept.values()) == len(messages)
    assert set(read_all(bag)) == set(messages)
    assert len(load_episode(bag, FrameSettings(8))) > 2


def test_a_damaged_database_is_an_error(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "bag_0.db3").write_bytes(b"SQLite format 3" + bytes(4000))
    with pytest.raises(BagError, match=r"left as it was: bag_0\.db3"):
        repair(tmp_path / "bag", contract)
