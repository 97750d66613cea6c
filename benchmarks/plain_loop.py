"""DynaMo's training loop as one would write it at first: the other side of benchmarks of pretraining.

float32, images as contiguous NCHW, every window of every episode an item that is decoded when it is asked
for, and each of its frames encoded anew. The objective is the same code.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scenes import Scene
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from dynamo_policies.encoders import MEAN, STD, EncoderConfig
from dynamo_policies.nets.resnet import ResNet18
from dynamo_policies.objectives import Losses
from dynamo_policies.objectives.dynamo import Dynamo, DynamoConfig
from dynamo_policies.optimisers import make_optimiser
from dynamo_policies.recipes import Recipe
from dynamo_policies.schedules import set_learning_rates
from dynamo_policies.steps import clip_gradients


class Windows(Dataset[Tensor]):
    """All windows of `ticks` frames of some scenes, each (ticks, V, 3, H, W) uint8."""

    def __init__(self, scenes: Sequence[Scene], ticks: int) -> None:
        self.ticks = ticks
        self.places = [
            (scene.files, start) for scene in scenes for start in range(len(scene.files) - ticks + 1)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Tensor:
        files, start = self.places[index]
        frames = [[decoded(file) for file in files[tick]] for tick in range(start, start + self.ticks)]
        return torch.from_numpy(np.array(frames)).permute(0, 1, 4, 2, 3).contiguous()


class PlainEncoder(nn.Module):
    """(..., 3, H, W) float32 to features (..., 512)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = ResNet18(torch.Generator().manual_seed(config.seed), channels=config.channels)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return features of normalised images."""
        flat = (images.flatten(0, -4) - self.mean) / self.std
        features: Tensor = self.trunk(flat)
        return features.view(*images.shape[:-3], -1)


class PlainLoop:
    """Training that goes on step by step over `scenes`, with as many windows a step as `recipe` has."""

    def __init__(self, scenes: Sequence[Scene], recipe: Recipe, device: str, workers: int) -> None:
        config, self.recipe, self.device = recipe.objective, recipe, device
        assert isinstance(config, DynamoConfig)
        first = EncoderConfig(
            image_size=recipe.run.image_size, channels=recipe.run.channels, seed=recipe.run.seed
        )
        random = torch.Generator().manual_seed(recipe.run.seed + 1)
        self.encoder = PlainEncoder(first)
        self.model = Dynamo(config, self.encoder, random).to(device).train()  # type: ignore[arg-type]  # NCHW
        self.optimiser = make_optimiser(self.model, recipe.run)
        self.step = 0
        self._loader = DataLoader(
            Windows(scenes, config.window),
            batch_size=windows_of(recipe),
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator().manual_seed(recipe.run.seed),
        )
        self._batches = self._endless()

    def run(self, steps: int) -> float:
        """Go on for `steps` and return the last loss."""
        for _ in range(steps):
            windows = next(self._batches).to(self.device).float().div(255.0)
            set_learning_rates(self.optimiser, self.recipe.run, self.step)
            losses: Losses = self.model(windows)
            losses.total.backward()
            clip_gradients(self.model, self.recipe.run.clip_norm)
            self.optimiser.step()
            self.optimiser.zero_grad()
            last = losses.total.item()
            self.step += 1
        return last

    def encode(self, images: Tensor) -> Tensor:
        """Return the features of `images` (N, H, W, 3) uint8 as a policy would see them."""
        floats = images.to(self.device).permute(0, 3, 1, 2).contiguous().float().div(255.0)
        features: Tensor = self.encoder.eval()(floats)
        return features

    def _endless(self) -> Iterator[Tensor]:
        return itertools.chain.from_iterable(iter(self._loader) for _ in itertools.count())


def windows_of(recipe: Recipe) -> int:
    """Return how many windows a step of `recipe` learns from."""
    return recipe.run.segments * (recipe.run.segment_length - recipe.objective.ticks + 1)


def decoded(file: Path) -> npt.NDArray[np.uint8]:
    """Return the image in `file`, (H, W, 3) RGB."""
    return np.asarray(cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB))
