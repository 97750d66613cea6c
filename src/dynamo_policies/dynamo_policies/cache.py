"""Episodes that were decoded once, kept as .npy files; may be deleted at any time.

An entry's name is the hash of all it depends on: what identifies the bag, contract, frame settings and the
version of this layout. An entry is written into a temporary folder and renamed, so that several processes may
share a cache.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dynamo_policies.bags import BagInfo, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode, load_episode
from dynamo_policies.errors import DynamoError

WORKERS = min(8, os.cpu_count() or 1)
SAMPLED_BLOCKS, SAMPLE_BYTES = 8, 16 << 10  # of each file, the first and the last among them
LAYOUT = 4  # Raise it when decoding, alignment or the files of an entry change.
ARRAYS = (
    "tick_ns",
    "state",
    "valid",
    "measured_position",
    "measured_quaternion",
    "target_position",
    "target_quaternion",
    "target_gripper",
    "target_hand",
)
log = logging.getLogger(__name__)


class CacheError(DynamoError):
    """The cache's folder can't be used."""


class FrameCache:
    """A folder of decoded episodes. Their images are memory-mapped and read-only."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"can't make the frame cache {self.root}: {error.strerror}") from error

    def episode(self, path: Path | str, frames: FrameSettings, contract: Contract | None = None) -> Episode:
        """Return the episode of the bag at `path`, decoded anew only if it is not in the cache.

        `contract` is for a bag that has none.

        Raises:
            DynamoError: as `load_episode` does, where the bag is not in the cache.
        """
        info = read_info(path, contract)
        entry = self.root / self._key(info, frames)
        cached = _load(entry, info)
        if cached is None:
            self._store(entry, load_episode(path, frames, contract))
            cached = _load(entry, info)
        if cached is None:
            raise CacheError(f"entry {entry} can't be read although it was just written")
        return cached

    def episodes(
        self,
        paths: Sequence[Path | str],
        frames: FrameSettings,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Episode]:
        """Return the episodes of all bags in `paths`; `progress(done, total)` is called after each.

        Bags are decoded on several threads: decoding images, which is most of the work, lets others run.
        """
        found = []
        with ThreadPoolExecutor(min(len(paths), WORKERS) or 1) as pool:
            waiting = [pool.submit(self.episode, path, frames) for path in paths]
            try:
                for one in waiting:
                    found.append(one.result())
                    if progress is not None:
                        progress(len(found), len(paths))
            finally:
                pool.shutdown(cancel_futures=True)
        return found

    def _key(self, info: BagInfo, frames: FrameSettings) -> str:
        parts = {
            "layout": LAYOUT,
            "bag": _identity(info),
            "contract": info.contract.hash,
            "frames": asdict(frames),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _store(self, entry: Path, episode: Episode) -> None:
        temporary = self._temporary()
        temporary.mkdir()
        for name in ARRAYS:
            np.save(temporary / f"{name}.npy", getattr(episode, name), allow_pickle=False)
        for camera, images in episode.images.items():
            np.save(temporary / f"images.{camera}.npy", images, allow_pickle=False)
        about = {"ticks": len(episode), "cameras": list(episode.images)}
        (temporary / "about.json").write_text(json.dumps(about))
        try:
            temporary.rename(entry)
        except OSError:  # Another process was faster; its entry is as good.
            shutil.rmtree(temporary)

    def _temporary(self) -> Path:
        return self.root / f".{os.getpid()}-{uuid.uuid4().hex}"


def _identity(info: BagInfo) -> str:
    """Return what tells the bag from any other, without reading all of it as `bag_hash` does.

    metadata.yaml has the times of the messages to the nanosecond, the end of an MCAP file those of each
    chunk; a file that was changed later has another time of change.
    """
    digest = hashlib.sha256((info.path / "metadata.yaml").read_bytes())
    for file in info.files:
        state = file.stat()
        digest.update(f"{state.st_size} {state.st_mtime_ns}".encode())
        with file.open("rb") as stream:
            for block in range(SAMPLED_BLOCKS):
                stream.seek(block * max(0, state.st_size - SAMPLE_BYTES) // (SAMPLED_BLOCKS - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _load(entry: Path, info: BagInfo) -> Episode | None:
    """Return the episode in `entry`; None if there is none or a damaged one, which is removed."""
    if not entry.is_dir():
        return None
    try:
        return _read(entry, info)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("cache entry %s is damaged (%r) and will be built anew", entry, error)
        shutil.rmtree(entry, ignore_errors=True)
        return None


def _read(entry: Path, info: BagInfo) -> Episode:
    about: dict[str, Any] = json.loads((entry / "about.json").read_text())
    arrays = {name: np.load(entry / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
    images = {
        camera: np.load(entry / f"images.{camera}.npy", mmap_mode="r", allow_pickle=False)
        for camera in about["cameras"]
    }
    lengths = {len(array) for array in (*arrays.values(), *images.values())}
    if lengths != {about["ticks"]}:
        raise ValueError(f"arrays of lengths {lengths} for {about['ticks']} ticks")
    return Episode(
        path=info.path,
        task=info.task,
        outcome=info.outcome,
        contract=info.contract,
        images=images,
        **arrays,
    )
