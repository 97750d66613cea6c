"""`dynamo bags` tools: info, align, split, merge, play and export."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml
from pyarrow import parquet
from rosbags.rosbag2.metadata import dump_qos_v9

from bag_factory import START_NS, episode_messages, write_bag
from dynamo_policies.bag_copy import BagCopy, CopiedMessage, CopyError, messages_to_copy
from dynamo_policies.bags import BagError, raw_messages, read_info
from dynamo_policies.bagtools.cutting import merge, split
from dynamo_policies.bagtools.lerobot import ExportError, export_lerobot
from dynamo_policies.bagtools.preview import preview
from dynamo_policies.cli.bags import COMMAND
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract, ContractMismatchError
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.mcap import Channel, Schema
from dynamo_policies.verify import verify
from dynamo_ros.core.bag_topics import qos
from foreign_bags import foreign_bag


def contents(bag: Path) -> list[tuple[str, int, bytes]]:
    info = read_info(bag)
    return [(raw.topic, raw.receive_ns, bytes(raw.data)) for raw in raw_messages(info, info.counts)]


def test_info_shows_streams_and_writes_a_contact_sheet(
    episode_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    assert main(["bags", "info", "--sheet", str(sheet), str(episode_bag)], [COMMAND]) == 0
    shown = capsys.readouterr().out
    for text in ("fixed", "target_gripper", "200", "100.0", "33.3"):
        assert text in shown
    picture = cv2.imread(str(sheet))
    assert picture.shape == (2 * (112 + 16), 8 * 112, 3)
    red = picture[16 + 50, 60::112, 2]
    assert (np.diff(red.astype(int)) > 0).all()  # later frames are brighter


def test_a_bag_that_cannot_be_measured_is_shown_beside_the_others(
    episode_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "hurt"):
        shutil.copytree(episode_bag, tmp_path / name)
    file = tmp_path / "hurt" / "episode_0.mcap"
    content = bytearray(file.read_bytes())
    content[60_000:260_000] = b"\xff" * 200_000
    file.write_bytes(content)
    shutil.copytree(episode_bag, tmp_path / "cut")
    (tmp_path / "cut" / "episode_0.mcap").write_bytes(content[:1_000_000])
    assert main(["bags", "info", "--sheet", str(tmp_path / "sheet.png"), str(tmp_path)], [COMMAND]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 bags, 2 s" in shown
    assert "2 bags can't be read" in shown
    assert (tmp_path / "sheet.png").is_file()


def test_the_preview_agrees_with_the_episode(episode_bag: Path) -> None:
    found, episode = preview(episode_bag), load_episode(episode_bag, FrameSettings(8))
    rows = np.searchsorted(found.ticks, episode.tick_ns)
    assert (found.ticks[rows] == episode.tick_ns).all()
    fixed = found.streams["fixed"]
    assert fixed.samples == 60
    assert (found.ticks[rows] - fixed.stamps[rows] == (fixed.age_ms[rows] * 1e6).round()).all()
    assert not fixed.stale[rows].any()
    assert found.streams["gripper"].repeated > 10
    assert len(preview(episode_bag, rate_hz=30).ticks) == pytest.approx(3 * len(found.ticks), abs=3)


def test_align_prints_and_plots(
    episode_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "ages.png"
    assert main(["bags", "align", "--plot", str(plot), str(episode_bag)], [COMMAND]) == 0
    assert "gripper" in capsys.readouterr().out
    assert cv2.imread(str(plot)) is not None


def test_parts_merged_again_are_the_bag(episode_bag: Path, tmp_path: Path) -> None:
    parts = split(episode_bag, [1.5, 0.7], tmp_path / "parts")
    assert [path.name for path in parts] == ["episode_0_0", "episode_0_1", "episode_0_2"]
    assert [round(read_info(part).seconds, 1) for part in parts] == [0.7, 0.8, 0.5]
    assert read_info(parts[1]).note == "synthetic; part 2 of 3 of episode_0"
    assert {"stream_hashes", "verdict"} <= set(read_info(episode_bag).custom)
    assert not {"stream_hashes", "verdict"} & set(read_info(parts[1]).custom)
    whole = merge(parts[::-1], tmp_path / "whole")
    assert sorted(contents(whole)) == sorted(contents(episode_bag))
    info = read_info(whole)
    assert (info.task, info.outcome, info.contract) == (
        "put_yogurt",
        "success",
        read_info(episode_bag).contract,
    )
    assert len(load_episode(whole, FrameSettings(8))) == len(load_episode(episode_bag, FrameSettings(8)))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_foreign_bag_is_split_into_bags_with_the_contract(
    contract: Contract, tmp_path: Path, storage: str
) -> None:
    types = {stream.topic: stream.type for stream in contract.streams.values()}
    bag = foreign_bag(tmp_path / "bag", types, episode_messages(contract, 0.5), storage=storage)
    parts = split(bag, [0.2], tmp_path, contract)
    assert [read_info(part).contract for part in parts] == [contract, contract]
    # The gripper's message before the cut holds after it as well.
    assert sum(read_info(part).messages for part in parts) == read_info(bag, contract).messages + 1


def test_what_was_said_once_is_said_again_in_each_part(contract: Contract, tmp_path: Path) -> None:
    messages = episode_messages(contract, 2.0)
    gripper = [raw for raw in messages if b"drive_joint" in raw.data]
    bag = write_bag(tmp_path / "bag", contract, [raw for raw in messages if raw not in gripper[1:-1]])
    info, schema = read_info(bag), Schema("std_msgs/msg/String", "ros2msg", "string data")
    channel = Channel(
        0, "/tf_static", schema, "cdr", yaml.safe_dump(dump_qos_v9([qos("reliable", 1, latched=True)]))
    )
    with BagCopy(tmp_path / "whole", {**info.custom, "dropped": json.dumps({"/tf_static": 1})}) as copy:
        for text in (b"a", b"b"):
            data = b"\x00\x01\x00\x00\x02\x00\x00\x00" + text + b"\x00"
            copy.write(CopiedMessage(channel, info.start_ns, info.start_ns, 0, data))
        for message in messages_to_copy(info):
            copy.write(message)
    parts = split(tmp_path / "whole", [0.7, 1.5], tmp_path / "parts")
    begins = []
    for part in parts:
        found = read_info(part)
        assert load_episode(part, FrameSettings(8)).valid.mean() > 0.7
        assert verify(part).warnings == []
        said = list(raw_messages(found, ["/tf_static"]))
        assert [bytes(raw.data)[8:9] for raw in said] == [b"a", b"b"]
        begins.append(int(found.custom["started_ns"]))
        assert {raw.receive_ns for raw in said} == {begins[-1]} == {found.start_ns}
        assert found.note.endswith("of whole, of which the drops are")
    assert [begin - info.start_ns for begin in begins] == [0, 700_000_000, 1_500_000_000]
    merged = merge(parts, tmp_path / "merged")
    assert sorted(contents(merged)) == sorted(contents(tmp_path / "whole"))
    assert read_info(merged).custom["started_ns"] == str(info.start_ns)


def test_what_cannot_be_split_or_merged_says_why(
    episode_bag: Path, contract: Contract, tmp_path: Path
) -> None:
    with pytest.raises(CopyError, match=r"can't split at \[2\.5\] s; .* lasts from 0 to 1\.99 s"):
        split(episode_bag, [2.5], tmp_path)
    with pytest.raises(CopyError, match=r"1 bags .* at least two of one task"):
        merge([episode_bag], tmp_path / "out")
    with pytest.raises(CopyError, match="exists already"):
        merge([episode_bag, episode_bag], episode_bag)
    messages = episode_messages(contract, 0.3)
    other = write_bag(tmp_path / "other", replace(contract, settle_ms=1.0), messages)
    with pytest.raises(ContractMismatchError, match="settle_ms"):
        merge([episode_bag, other], tmp_path / "out")
    task = write_bag(tmp_path / "task", contract, messages, task="fetch_yogurt")
    with pytest.raises(CopyError, match=r"tasks \['fetch_yogurt', 'put_yogurt'\]"):
        merge([episode_bag, task], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_play_writes_a_video(episode_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "seen.mp4"
    assert main(["bags", "play", "--out", str(out), str(episode_bag)], [COMMAND]) == 0
    assert "20 frames. To publish the topics again: ros2 bag play" in capsys.readouterr().out
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 20


@pytest.fixture(scope="module")
def dataset(episode_bag: Path, contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes as a LeRobot dataset."""
    folder = tmp_path_factory.mktemp("lerobot")
    other = write_bag(folder / "other", contract, episode_messages(contract, 1.0), task="fetch_yogurt")
    assert export_lerobot([episode_bag, other], folder / "set") == 28
    return folder / "set"


def test_a_lerobot_dataset_holds_the_episodes_and_their_stamps(dataset: Path, episode_bag: Path) -> None:
    episode = load_episode(episode_bag, FrameSettings(8))
    info = json.loads((dataset / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["total_episodes"], info["total_frames"]) == ("v3.0", 2, 28)
    assert info["fps"] == 10
    table = parquet.read_table(dataset / info["data_path"].format(chunk_index=0, file_index=0)).to_pydict()
    assert set(table) | {"observation.images.fixed", "observation.images.wrist"} == set(info["features"])
    np.testing.assert_array_equal(np.array(table["observation.state"], np.float32), episode.state)
    np.testing.assert_allclose(np.array(table["action"])[:, :3], episode.target_position, rtol=1e-6)
    assert table["stamp.tick_ns"] == episode.tick_ns.tolist()
    late_ns = np.array(table["stamp.tick_ns"]) - np.array(table["stamp.fixed_ns"])
    assert ((late_ns >= 0) & (late_ns < 34e6)).all()
    np.testing.assert_allclose(table["timestamp"], np.arange(19) / 10, rtol=1e-6)
    second = parquet.read_table(dataset / info["data_path"].format(chunk_index=0, file_index=1)).to_pydict()
    assert second["index"] == list(range(19, 28))
    assert second["task_index"] == [1] * 9


def test_videos_of_a_lerobot_dataset_have_a_frame_for_each_row(dataset: Path) -> None:
    rows = parquet.read_table(dataset / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [(row["length"], row["dataset_from_index"], row["dataset_to_index"]) for row in rows] == [
        (19, 0, 19),
        (9, 19, 28),
    ]
    for row in rows:
        name = f"file-{row['videos/observation.images.wrist/file_index']:03d}.mp4"
        with av.open(str(dataset / "videos" / "observation.images.wrist" / "chunk-000" / name)) as video:
            frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert len(frames) == row["length"]
        red = np.array([frame[..., 0].mean() for frame in frames])
        np.testing.assert_allclose(np.diff(red), 3, atol=1.5)  # every third image of the camera
    tasks = parquet.read_table(dataset / "meta" / "tasks.parquet").to_pydict()
    assert tasks["task"] == ["put the yogurt into the fridge door", "fetch the yogurt from the fridge door"]


def test_statistics_of_a_lerobot_dataset_are_those_of_its_rows(dataset: Path) -> None:
    given = json.loads((dataset / "meta" / "stats.json").read_text())
    files = sorted((dataset / "data").rglob("*.parquet"))
    states = np.concatenate([np.array(parquet.read_table(file)["action"].to_pylist()) for file in files])
    np.testing.assert_allclose(given["action"]["mean"], states.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(given["action"]["std"], states.std(axis=0), rtol=1e-5, atol=1e-9)
    image = given["observation.images.fixed"]
    assert np.array(image["mean"]).shape == (3, 1, 1)
    assert 0 <= np.min(image["min"]) <= np.min(image["mean"]) <= np.max(image["max"]) <= 1


def test_what_cannot_be_exported_says_why(episode_bag: Path, contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no bags"):
        export_lerobot([], tmp_path / "set")
    with pytest.raises(ExportError, match="exists already"):
        export_lerobot([episode_bag], tmp_path)
    other = write_bag(tmp_path / "bag", replace(contract, settle_ms=1.0), episode_messages(contract, 0.5))
    with pytest.raises(ExportError, match="another contract"):
        export_lerobot([episode_bag, other], tmp_path / "set")
    first, late = contract.streams["fixed"].topic, contract.streams["target_pose"].topic
    blind = [
        raw
        for raw in episode_messages(contract, 1.5)
        if not (raw.topic == first and raw.receive_ns > START_NS + 10**7)
        and not (raw.topic == late and raw.receive_ns < START_NS + 10**9)
    ]
    with pytest.raises(ExportError, match=r"has no valid tick with a target; `dynamo"):
        export_lerobot([write_bag(tmp_path / "blind", contract, blind)], tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "blind"]
    with pytest.raises(BagError, match=r"no metadata\.yaml"):
        export_lerobot([tmp_path], tmp_path / "other")
