"""`dynamo bags` tools: info, align, split, merge, play and export."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from pyarrow import parquet

from bag_factory import episode_messages, write_bag
from dynamo_policies.bag_copy import CopyError
from dynamo_policies.bags import BagError, raw_messages, read_info
from dynamo_policies.bagtools.cutting import merge, split
from dynamo_policies.bagtools.lerobot import ExportError, export_lerobot
from dynamo_policies.bagtools.preview import preview
from dynamo_policies.cli.bags import COMMAND
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract, ContractMismatchError
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import load_episode
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
    assert main(["bags", "info", str(tmp_path)], [COMMAND]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "can't" in shown
    assert "2 bags" in shown


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
    assert sum(read_info(part).messages for part in parts) == read_info(bag, contract).messages


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
    with pytest.raises(BagError, match=r"no metadata\.yaml"):
        export_lerobot([tmp_path], tmp_path / "other")
