"""The tables, features and statistics of a LeRobot dataset v3.0; see `lerobot`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.streams import ImageStream

if TYPE_CHECKING:
    import pyarrow as pa

CODEBASE = "v3.0"
CHUNK = 1000  # files in a folder
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
POSE_NAMES = ("x", "y", "z", "qx", "qy", "qz", "qw")
PIXELS_FOR_STATISTICS = 20  # images of an episode
Table = dict[str, npt.NDArray[Any]]


def write_meta(
    out: Path, contract: Contract, tables: list[Table], rows: list[dict[str, Any]], tasks: list[str]
) -> None:
    """Write meta/ of a dataset whose episodes are `tables` and described by `rows`."""
    import pyarrow as pa
    from pyarrow import parquet

    (out / EPISODES).parent.mkdir(parents=True)
    parquet.write_table(pa.Table.from_pylist(rows), out / EPISODES)
    parquet.write_table(_tasks(tasks), out / "meta" / "tasks.parquet")
    total = sum(len(table["index"]) for table in tables)
    info = {
        "codebase_version": CODEBASE,
        "robot_type": contract.name,
        "total_episodes": len(rows),
        "total_frames": total,
        "total_tasks": len(tasks),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": int(contract.policy_rate_hz),
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": DATA,
        "video_path": VIDEO,
        "features": _features(contract, tables[0]),
        "contract_hash": contract.hash,
    }
    (out / "meta" / "info.json").write_text(json.dumps(info, indent=4))
    columns = {
        name: column_statistics(np.concatenate([table[name] for table in tables])) for name in tables[0]
    }
    images = {f"observation.images.{camera}": _pooled(rows, camera) for camera in contract.cameras}
    (out / "meta" / "stats.json").write_text(json.dumps({**columns, **images}, indent=4))


def _pooled(rows: list[dict[str, Any]], camera: str) -> dict[str, Any]:
    """Return the statistics of all episodes' images, from those of each."""
    prefix = f"stats/observation.images.{camera}"
    parts = {
        name: np.array([row[f"{prefix}/{name}"] for row in rows]) for name in ("min", "max", "mean", "std")
    }
    counts = np.array([row[f"{prefix}/count"][0] for row in rows], dtype=np.float64)
    mean = np.average(parts["mean"], axis=0, weights=counts)
    square = np.average(parts["std"] ** 2 + (parts["mean"] - mean) ** 2, axis=0, weights=counts)
    return {
        "min": parts["min"].min(axis=0).tolist(),
        "max": parts["max"].max(axis=0).tolist(),
        "mean": mean.tolist(),
        "std": np.sqrt(square).tolist(),
        "count": [int(counts.sum())],
    }


def _action_names(contract: Contract) -> list[str]:
    gripper = [] if contract.gripper is None else ["gripper"]
    return [*POSE_NAMES, *gripper, *(contract.hand.joints if contract.hand else ())]


def _features(contract: Contract, table: Table) -> dict[str, Any]:
    names = {"observation.state": list(contract.state_names), "action": _action_names(contract)}
    features: dict[str, Any] = {
        name: {"dtype": str(values.dtype), "shape": list(values.shape[1:]) or [1], "names": names.get(name)}
        for name, values in table.items()
    }
    for camera, stream in contract.cameras.items():
        features[f"observation.images.{camera}"] = _video_feature(stream, int(contract.policy_rate_hz))
    return features


def _video_feature(stream: ImageStream, fps: int) -> dict[str, Any]:
    height, width = stream.height // 2 * 2, stream.width // 2 * 2  # as VideoWriter cuts them
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def to_arrow(table: Table) -> pa.Table:
    """Return columns (T,) and (T, N) as Arrow has them."""
    import pyarrow as pa

    columns = {}
    for name, values in table.items():
        flat = pa.array(values.reshape(-1))
        columns[name] = flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.table(columns)


def _tasks(tasks: list[str]) -> pa.Table:
    """Return the table that pandas reads as task_index by task."""
    import pyarrow as pa

    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": tasks})
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, kind, numpy in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
        ],
        "pandas_version": "2.0.0",
    }
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


class SampledPictures:
    """Some of an episode's pictures, for their statistics."""

    def __init__(self, count: int) -> None:
        self._every = max(1, count // PIXELS_FOR_STATISTICS)
        self._seen = 0
        self._pictures: list[npt.NDArray[np.float64]] = []

    def add(self, picture: npt.NDArray[np.uint8]) -> None:
        """Take every so many-th picture, (H, W, 3), and of it every fourth pixel."""
        if self._seen % self._every == 0:
            self._pictures.append(picture[::4, ::4].reshape(-1, 3) / 255.0)
        self._seen += 1

    def statistics(self) -> dict[str, Any]:
        """Return what LeRobot wants of images: of each colour, in 0 to 1, shaped (3, 1, 1)."""
        plain = column_statistics(np.concatenate(self._pictures))
        shaped = {name: np.reshape(plain[name], (3, 1, 1)).tolist() for name in ("min", "max", "mean", "std")}
        return {**shaped, "count": [len(self._pictures)]}


def column_statistics(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return least, largest, mean and deviation of each column, and the number of rows."""
    columns = values.reshape(len(values), -1).astype(np.float64)
    found = {name: getattr(columns, name)(axis=0).tolist() for name in ("min", "max", "mean", "std")}
    return {**found, "count": [len(values)]}
