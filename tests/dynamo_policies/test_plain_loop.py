"""The benchmarks' plain loop trains by the same loss as ours, so that only speed differs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import team_run
from dynamo_policies.pretraining import make_objective

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # scripts, not a package

from plain_loop import PlainLoop, windows_of
from scenes import make_scenes


def test_both_sides_have_the_same_loss_on_the_same_windows(tmp_path: Path) -> None:
    scenes = make_scenes(tmp_path, episodes=2, ticks=9, size=32)
    recipe = team_run.recipe("dynamo", segments=3, segment_length=5, forward_dropout=0.0, steps=10)
    loop = PlainLoop(scenes, recipe, "cpu", workers=0)
    windows = next(loop._batches)
    assert len(windows) == windows_of(recipe) == 3 * (5 - 3 + 1)
    frames = windows.permute(0, 1, 2, 4, 5, 3).contiguous()
    ours = make_objective(recipe).train()
    expected = loop.model(windows.float().div(255.0)).total
    torch.testing.assert_close(ours(frames).total, expected, rtol=1e-4, atol=1e-6)


def test_decoded_frames_are_those_of_the_cache_but_for_jpeg(tmp_path: Path) -> None:
    (scene,) = make_scenes(tmp_path, episodes=1, ticks=4, size=32)
    loop = PlainLoop([scene], team_run.recipe("dynamo", segments=1, segment_length=3), "cpu", workers=0)
    window = loop._loader.dataset[1].permute(0, 1, 3, 4, 2).numpy().astype(int)
    stored = np.stack([images[1:4] for images in scene.episode.images.values()], axis=1).astype(int)
    assert np.abs(window - stored).mean() < 8
    assert np.abs(window - np.roll(stored, 8, axis=3)).mean() > 8


def test_episodes_are_drawn_alike_by_every_process(tmp_path: Path) -> None:
    one, other = (make_scenes(tmp_path / name, episodes=1, ticks=3, size=32)[0] for name in ("a", "b"))
    np.testing.assert_array_equal(one.episode.images["wrist"], other.episode.images["wrist"])
    another = make_scenes(tmp_path / "c", episodes=1, ticks=3, size=32, seed=1)[0]
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(one.truth, another.truth)
