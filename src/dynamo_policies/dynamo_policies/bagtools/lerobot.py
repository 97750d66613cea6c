"""Export to a LeRobot dataset, codebase version v3.0.

Layout as written by huggingface/lerobot, src/lerobot/datasets/dataset_metadata.py: meta/info.json,
meta/stats.json, meta/tasks.parquet, meta/episodes, data and videos in chunks of 1000 files. Here each episode
has files of its own. A row is a tick of the policy. LeRobot wants `timestamp` to be the row's number over the
rate; when tick and images were really stamped is kept beside it, as nanoseconds, in `stamp.*`.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import deserialize, read_info
from dynamo_policies.bagtools.lerobot_meta import (
    CHUNK,
    DATA,
    VIDEO,
    SampledPictures,
    Table,
    column_statistics,
    to_arrow,
    write_meta,
)
from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings, decode_colour
from dynamo_policies.episodes import Episode, load_episode
from dynamo_policies.errors import DynamoError
from dynamo_policies.tracks import messages_at, read_tracks
from dynamo_policies.video import VideoWriter


class ExportError(DynamoError):
    """A dataset can't be written."""


def export_lerobot(bags: Sequence[Path], out: Path, contract: Contract | None = None) -> int:
    """Write the episodes of `bags` as a LeRobot dataset into the new folder `out`; return the rows.

    State is contract.state_names; action is the commanded pose (m, quaternion), gripper (0 to 1) and hand
    (rad) for one period after the tick. Ticks without a target or with a stale stream are left out.

    Raises:
        ExportError: no bags, `out` exists, pyarrow is missing, contracts differ, the rate is no integer, or
            an episode has no row.
        DynamoError: a bag can't be read. As with every error, nothing is left of the dataset.
    """
    _check(bags, out)
    building = out.parent / f".{out.name}.exporting"
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        rows = _write(bags, building, contract)
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return rows


def _write(bags: Sequence[Path], out: Path, contract: Contract | None) -> int:
    """Write the dataset into the empty folder `out`; return the rows."""
    tasks: list[str] = []
    rows: list[dict[str, Any]] = []
    tables: list[Table] = []
    first: Contract | None = None
    for number, bag in enumerate(bags):
        episode = load_episode(bag, FrameSettings(8), contract)
        first = first or episode.contract
        _check_same(episode, first)
        prompt = read_info(bag, contract).prompt or episode.task
        if prompt not in tasks:
            tasks.append(prompt)
        start = sum(len(table["index"]) for table in tables)
        table, statistics = _write_episode(episode, number, start, tasks.index(prompt), out, contract)
        tables.append(table)
        rows.append(_episode_row(episode.contract, number, start, len(table["index"]), prompt, statistics))
    assert first is not None
    write_meta(out, first, tables, rows, tasks)
    _validate(out)
    return sum(len(table["index"]) for table in tables)


def _check(bags: Sequence[Path], out: Path) -> None:
    if not bags:
        raise ExportError("no bags were given to export")
    if out.exists():
        raise ExportError(f"{out} exists already; choose another folder")
    if importlib.util.find_spec("pyarrow") is None:
        raise ExportError("LeRobot datasets need pyarrow: pip install 'dynamo_policies[export]'")


def _check_same(episode: Episode, first: Contract) -> None:
    if episode.contract.hash != first.hash:
        raise ExportError(f"{episode.path} was recorded under another contract than the bags before it")
    if first.policy_rate_hz != int(first.policy_rate_hz):
        raise ExportError(f"LeRobot needs a whole number of frames a second, not {first.policy_rate_hz:g}")


def _write_episode(
    episode: Episode, number: int, start: int, task: int, out: Path, contract: Contract | None
) -> tuple[Table, dict[str, Any]]:
    from pyarrow import parquet

    used = np.flatnonzero(episode.valid)
    fps = int(episode.contract.policy_rate_hz)
    count = len(used)
    if not count:
        raise ExportError(f"{episode.path} has no valid tick with a target; `dynamo bags verify` says why")
    gripper = [] if episode.contract.gripper is None else [episode.target_gripper[:, None]]
    actions = [episode.target_position, episode.target_quaternion, *gripper, episode.target_hand]
    table: Table = {
        "observation.state": episode.state[used],
        "action": np.concatenate(actions, axis=1)[used].astype(np.float32),
        "stamp.tick_ns": episode.tick_ns[used],
    }
    images = {}
    for camera, (stamps, statistics) in _write_videos(episode, used, number, out, contract).items():
        table[f"stamp.{camera}_ns"] = stamps
        images[f"observation.images.{camera}"] = statistics
    table |= {
        "timestamp": (np.arange(count) / fps).astype(np.float32),
        "frame_index": np.arange(count),
        "episode_index": np.full(count, number),
        "index": start + np.arange(count),
        "task_index": np.full(count, task),
    }
    path = out / DATA.format(chunk_index=number // CHUNK, file_index=number % CHUNK)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(to_arrow(table), path)
    return table, {**{name: column_statistics(values) for name, values in table.items()}, **images}


def _write_videos(
    episode: Episode, used: npt.NDArray[np.intp], number: int, out: Path, contract: Contract | None
) -> dict[str, tuple[npt.NDArray[np.int64], dict[str, Any]]]:
    """Write each camera's images at full size; return when they were stamped, and their statistics."""
    info = read_info(episode.path, contract)
    tracks = read_tracks(info, Decoder(info.contract, FrameSettings(8)))
    found = {}
    for camera, stream in info.contract.cameras.items():
        key = f"observation.images.{camera}"
        path = out / VIDEO.format(video_key=key, chunk_index=number // CHUNK, file_index=number % CHUNK)
        path.parent.mkdir(parents=True, exist_ok=True)
        places = tracks[camera].places(episode.tick_ns[used])
        pictures = SampledPictures(len(used))
        with VideoWriter(path, fps=info.contract.policy_rate_hz) as video:
            messages = dict(messages_at(info, stream.topic, tracks[camera], np.unique(places)))
            for place in places.tolist():
                picture = decode_colour(camera, stream, deserialize(messages[place]))
                video.add(picture)
                pictures.add(picture)
        stamps, _ = tracks[camera].picks(episode.tick_ns[used])
        found[camera] = (stamps, pictures.statistics())
    return found


def _episode_row(
    contract: Contract, number: int, start: int, count: int, task: str, statistics: dict[str, Any]
) -> dict[str, Any]:
    place = {"chunk_index": number // CHUNK, "file_index": number % CHUNK}
    row: dict[str, Any] = {
        "episode_index": number,
        "tasks": [task],
        "length": count,
        "dataset_from_index": start,
        "dataset_to_index": start + count,
        **{f"data/{key}": value for key, value in place.items()},
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    for camera in contract.cameras:
        prefix = f"videos/observation.images.{camera}"
        row |= {f"{prefix}/{key}": value for key, value in place.items()}
        row |= {f"{prefix}/from_timestamp": 0.0, f"{prefix}/to_timestamp": count / contract.policy_rate_hz}
    for feature, found in statistics.items():
        row |= {f"stats/{feature}/{name}": value for name, value in found.items()}
    return row


def _validate(out: Path) -> None:
    """Open the dataset with the lerobot library, where that is installed."""
    if importlib.util.find_spec("lerobot") is None:
        return
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset(out.name, root=out)
    if len(dataset) == 0 or "action" not in dataset[0]:
        raise ExportError(f"lerobot finds no rows with actions in {out}")
