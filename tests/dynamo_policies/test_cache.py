"""The cache of decoded episodes."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dynamo_policies.cache import ARRAYS, CacheError, FrameCache
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode, load_episode

FRAMES = FrameSettings(16)


def assert_equal(one: Episode, other: Episode) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    assert list(one.images) == list(other.images)
    for camera, images in one.images.items():
        np.testing.assert_array_equal(images, other.images[camera])
    for name in ("path", "task", "outcome", "bag_hash", "contract"):
        assert getattr(one, name) == getattr(other, name)


def entries(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def test_a_cached_episode_equals_the_bag(episode_bag: Path, tmp_path: Path) -> None:
    cache, expected = FrameCache(tmp_path), load_episode(episode_bag, FRAMES)
    assert_equal(cache.episode(episode_bag, FRAMES), expected)
    assert_equal(cache.episode(episode_bag, FRAMES), expected)


def test_the_second_time_nothing_is_written(episode_bag: Path, tmp_path: Path) -> None:
    cache = FrameCache(tmp_path)
    cache.episode(episode_bag, FRAMES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    cache.episode(episode_bag, FRAMES)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_images_are_mapped_and_read_only(episode_bag: Path, tmp_path: Path) -> None:
    images = FrameCache(tmp_path).episode(episode_bag, FRAMES).images["fixed"]
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_other_settings_and_other_bags_have_other_entries(episode_bag: Path, tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "cache")
    assert cache.episode(episode_bag, FRAMES).images["fixed"].shape[1:] == (16, 16, 3)
    assert cache.episode(episode_bag, FrameSettings(8)).images["fixed"].shape[1:] == (8, 8, 3)
    other = shutil.copytree(episode_bag, tmp_path / "other")
    metadata = other / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("outcome: success", "outcome: failure"))
    assert cache.episode(other, FRAMES).outcome == "failure"
    assert len(entries(tmp_path / "cache")) == 3


def test_a_copy_of_a_bag_shares_its_entry(episode_bag: Path, tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "cache")
    cache.episode(episode_bag, FRAMES)
    copy = shutil.copytree(episode_bag, tmp_path / "copy")
    assert cache.episode(copy, FRAMES).path == copy
    assert len(entries(tmp_path / "cache")) == 1


@pytest.mark.parametrize("name", ["images.fixed.npy", "state.npy", "about.json"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "nonsense"])
def test_a_damaged_entry_is_built_anew(episode_bag: Path, tmp_path: Path, name: str, damage: str) -> None:
    cache = FrameCache(tmp_path)
    cache.episode(episode_bag, FRAMES)
    file = entries(tmp_path)[0] / name
    content = {"truncated": file.read_bytes()[:-30], "missing": b"", "nonsense": b"[1]"}[damage]
    file.unlink()
    if damage != "missing":
        file.write_bytes(content)
    assert_equal(cache.episode(episode_bag, FRAMES), load_episode(episode_bag, FRAMES))
    assert len(entries(tmp_path)) == 1


def test_several_writers_of_one_entry_get_along(episode_bag: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: FrameCache(tmp_path).episode(episode_bag, FRAMES), range(8)))
    expected = load_episode(episode_bag, FRAMES)
    for episode in found:
        assert_equal(episode, expected)
    assert len(entries(tmp_path)) == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_episodes_reports_its_progress(episode_bag: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = FrameCache(tmp_path).episodes(
        [episode_bag] * 3, FRAMES, lambda done, total: seen.append((done, total))
    )
    assert len(found) == 3
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_cache_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="can't make the frame cache"):
        FrameCache(tmp_path / "file" / "cache")
