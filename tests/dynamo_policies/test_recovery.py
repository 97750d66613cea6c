"""Recordings that were cut off, made into bags."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from bag_factory import Raw, episode_messages
from dynamo_policies.bags import BagError, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.recovery import find_cut_off, read_messages, recover
from dynamo_ros.core.recording import EpisodeWriter

# Records an episode and dies without closing it.
DYING = """
import os, sys, time
from pathlib import Path
from bag_factory import episode_messages
from dynamo_policies.contract import load_contract
from dynamo_ros.core.recording import EpisodeWriter
contract = load_contract(sys.argv[1])
writer = EpisodeWriter(Path(sys.argv[2]), contract, "put_yogurt", operator="a", note="first")
for raw in episode_messages(contract, 2.0):
    writer.write(*raw)
while writer._bag.written < writer.messages:
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
    assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == 9
    return folder


@pytest.fixture
def own(cut_off: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(cut_off, tmp_path / "own"))


def test_an_episode_whose_recorder_died_is_recovered(own: Path, contract: Contract) -> None:
    (part,) = find_cut_off(own)
    path = recover(part)
    assert path == own / "episode"
    assert list(own.iterdir()) == [path]
    written = set(episode_messages(contract, 2.0))
    found = set(read_all(path))
    assert found <= written
    assert len(found) > 0.8 * len(written)  # what was still in memory is lost: at most two chunks of 1 MiB
    info = read_info(path)
    assert (info.task, info.outcome, info.operator) == ("put_yogurt", "unknown", "a")
    assert info.note == "first; recovered from a recording that was cut off"
    assert len(load_episode(path, FrameSettings(8))) > 10


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.73, 0.999])
def test_wherever_the_file_ends_whole_messages_are_read(own: Path, contract: Contract, kept: float) -> None:
    file = next(own.rglob("*.mcap"))
    content = file.read_bytes()[: int(kept * file.stat().st_size)]
    written = set(episode_messages(contract, 2.0))
    found = list(read_messages(content))
    size = sum(len(message.data) for message in found)
    # At most one image is lost at the cut.
    assert len(content) - size < 60_000 + 200 * len(found)
    assert {Raw(one.channel.topic, bytes(one.data), one.receive_ns) for one in found} <= written


def test_qos_and_definitions_survive(own: Path) -> None:
    with Reader(recover(find_cut_off(own)[0])) as reader:
        (connection,) = (c for c in reader.connections if c.topic == "/dynamo/target_pose")
    assert connection.ext.offered_qos_profiles[0].depth == 20  # type: ignore[union-attr]  # a ROS 2 bag
    assert connection.digest.startswith("RIHS01_")
    assert "geometry_msgs/Pose pose" in connection.msgdef.data


def test_a_recording_in_progress_is_left_alone(contract: Contract, tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    with pytest.raises(BagError, match="is still being recorded"):
        recover(find_cut_off(tmp_path)[0])
    writer.discard()
    assert find_cut_off(tmp_path) == []


def test_an_existing_bag_is_not_replaced(own: Path) -> None:
    (own / "episode").mkdir()
    with pytest.raises(BagError, match=r"can't be recovered to .*episode, which exists"):
        recover(find_cut_off(own)[0])


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"no unfinished recording; that has about\.json"):
        recover(tmp_path)


def test_an_image_of_a_recovered_bag_is_whole(own: Path) -> None:
    episode = load_episode(recover(find_cut_off(own)[0]), FrameSettings(8))
    assert (np.diff(episode.images["fixed"][:, 0, 0, 0].astype(int)) == 3).all()
