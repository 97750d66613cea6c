"""How far an observation is from everything that was demonstrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynamo_policies.novelty import (
    Demonstrated,
    Novelty,
    NoveltyConfig,
    NoveltyError,
    calibrate,
    load_novelty,
    side_by_side,
)
from dynamo_policies.tensorfiles import TensorFileError, write_tensors

VIEWS, SIZE, TICKS = 2, 8, 50


def demonstrated(seed: int, *, episodes: int = 6) -> list[Demonstrated]:
    """Return episodes whose features lie on one line, with noise of 0.05."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(episodes):
        line = np.linspace(0.0, 1.0, TICKS)[:, None] * np.ones(VIEWS * SIZE)
        features = (line + rng.normal(0.0, 0.05, line.shape)).astype(np.float32)
        images = {
            name: np.full((TICKS, 32, 32, 3), number, np.uint8)
            for name, number in (("fixed", 40), ("wrist", 200))
        }
        made.append(Demonstrated(features, images, np.arange(TICKS, dtype=np.int64)))
    return made


@pytest.fixture(scope="module")
def novelty() -> Novelty:
    return calibrate(demonstrated(0), VIEWS)


def test_an_episode_of_the_same_kind_is_not_new(novelty: Novelty) -> None:
    unseen = demonstrated(1, episodes=4)
    ratios = [novelty.nearest(row).ratio for one in unseen for row in one.features]
    assert np.mean(np.array(ratios) > 1.0) < 0.005


@pytest.mark.parametrize("view", range(VIEWS))
def test_one_new_view_is_enough(novelty: Novelty, view: int) -> None:
    features = demonstrated(1)[0].features[10].copy()
    features[view * SIZE : (view + 1) * SIZE] += np.tile([1.0, -1.0], SIZE // 2)
    assert novelty.nearest(features).ratio > 2.0


def test_the_nearest_demonstration_is_found(novelty: Novelty) -> None:
    place = 7
    found = novelty.nearest(novelty.features[place].reshape(-1))
    assert found.place == place
    assert found.ratio == pytest.approx(0.0, abs=1e-2)


def test_features_that_are_not_finite_have_no_ratio(novelty: Novelty) -> None:
    assert np.isnan(novelty.nearest(np.full(VIEWS * SIZE, np.nan, np.float32)).ratio)


def test_each_episode_is_held_against_the_others_only() -> None:
    """Two episodes far apart: what is far from one is no farther than the other one was."""
    near, far = demonstrated(0, episodes=2)
    far = far._replace(features=far.features + 5.0)
    thresholds = calibrate([near, far], VIEWS, NoveltyConfig(margin=1.0)).thresholds
    assert (thresholds > 4.0).all()


def test_no_more_than_wanted_are_kept_spread_over_all_episodes() -> None:
    kept = calibrate(demonstrated(0), VIEWS, NoveltyConfig(kept=30))
    assert len(kept) == 30
    assert set(kept.episodes) == set(range(6))


def test_what_is_saved_is_loaded(novelty: Novelty, tmp_path: Path) -> None:
    novelty.save(tmp_path / "novelty.safetensors")
    loaded = load_novelty(tmp_path / "novelty.safetensors")
    features = demonstrated(3)[0].features[20]
    assert loaded.nearest(features) == novelty.nearest(features)
    assert np.array_equal(loaded.picture(3), novelty.picture(3))
    assert np.array_equal(loaded.ticks_ns, novelty.ticks_ns)


def test_a_picture_shows_the_views_side_by_side(novelty: Novelty) -> None:
    picture = novelty.picture(0)
    assert picture.shape == (96, 192, 3)
    assert np.abs(picture[:, :90].astype(int) - 40).max() < 5
    assert np.abs(picture[:, 102:].astype(int) - 200).max() < 5


def test_one_episode_is_not_enough_to_calibrate() -> None:
    with pytest.raises(NoveltyError, match="1 episode given; at least 2"):
        calibrate(demonstrated(0, episodes=1), VIEWS)


def test_features_of_another_encoder_are_refused(novelty: Novelty) -> None:
    with pytest.raises(NoveltyError, match=r"5 features given, \(2, 8\)"):
        novelty.nearest(np.zeros(5, np.float32))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import torch

    write_tensors(tmp_path / "x.safetensors", {"weights": torch.zeros(3)})
    with pytest.raises(NoveltyError, match=r"holds \['weights'\]"):
        load_novelty(tmp_path / "x.safetensors")
    with pytest.raises(TensorFileError, match="is not there"):
        load_novelty(tmp_path / "y.safetensors")


def test_images_of_different_sizes_are_put_at_one_height() -> None:
    row = side_by_side([np.zeros((10, 20, 3), np.uint8), np.zeros((30, 30, 3), np.uint8)], 60)
    assert row.shape == (60, 180, 3)
