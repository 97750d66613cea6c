"""Whether throughput costs quality: what frozen features say of held-out episodes after equal training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from plain_loop import PlainLoop, windows_of
from scenes import Scene
from train_sides import ORIGIN, Options, begin, draw_scenes, our_recipe, sampler_of

from dynamo_policies.encoders import EncoderConfig, load_encoder, random_encoder
from dynamo_policies.pretraining import pretrain

EVERY = 4  # neighbours look alike
PENALTIES = (1e-1, 1e1, 1e3, 1e5)
Encode = Callable[[torch.Tensor], torch.Tensor]
Features = npt.NDArray[np.float64]


def probe(options: Options, steps: int) -> dict[str, Any]:
    """Return the held-out error of a ridge regression on the features of both sides after `steps` each.

    The error is the mean square over the variance, mean over the six numbers that say what moves.
    """
    begin(options)
    scenes, held_out = draw_scenes(options.folder), draw_scenes(options.folder, seed=1)
    recipe = our_recipe(options, steps=steps)
    pretrain(recipe, sampler_of(scenes), options.folder / "probed", origin=ORIGIN, device=options.device)
    plain = PlainLoop(scenes, recipe, options.device, options.workers)
    plain.run(steps)
    encoders: dict[str, Encode] = {
        "ours": load_encoder(options.folder / "probed").encoder,
        "plain": plain.encode,
        "random": random_encoder(EncoderConfig(image_size=recipe.run.image_size)).encoder,
    }
    errors = {name: held_out_error(encode, scenes, held_out) for name, encode in encoders.items()}
    return {"steps": steps, "windows": steps * windows_of(recipe), "held_out_error": errors}


def held_out_error(encode: Encode, scenes: Sequence[Scene], held_out: Sequence[Scene]) -> float:
    """Return the error on the second half of `held_out`, with the penalty that is best on its first half."""
    half = len(held_out) // 2
    parts = (scenes, held_out[:half], held_out[half:])
    x, *others = [features(encode, part) for part in parts]
    y, *wanted = [
        np.concatenate([scene.truth[::EVERY] for scene in part]).astype(np.float64) for part in parts
    ]
    centre, scale, middle = x.mean(0), x.std(0) + 1e-8, y.mean(0)
    x = (x - centre) / scale
    errors = []
    for penalty in PENALTIES:
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - middle))
        guesses = [(other - centre) / scale @ weights + middle for other in others]
        errors.append([error_of(guess, one) for guess, one in zip(guesses, wanted, strict=True)])
    return min(errors)[1]


def error_of(guess: Features, wanted: Features) -> float:
    """Return the mean square over the variance of each number (N, D), their mean."""
    return float((((guess - wanted) ** 2).mean(0) / wanted.var(0)).mean())


@torch.inference_mode()
def features(encode: Encode, scenes: Sequence[Scene]) -> Features:
    """Return the features of both cameras side by side, (every fourth tick of all scenes, 2 * 512)."""
    found = []
    for scene in scenes:
        stacks = [np.array(images[::EVERY]) for images in scene.episode.images.values()]
        views = [encode(torch.from_numpy(images)) for images in stacks]
        found.append(torch.cat(views, dim=1).double().cpu().numpy())
    return np.concatenate(found)
