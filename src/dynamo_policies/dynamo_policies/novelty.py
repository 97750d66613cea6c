"""How far what the robot sees is from everything that was demonstrated.

A bundle keeps a sample of the demonstrations: the encoder's features of each view, where they are from, and
small pictures. A view is as new as its distance to the nearest demonstrated one, over the distance that
nearly all demonstrations keep from those of *other* episodes (what a new episode's own images will show); the
newest view counts, since the views of a robot fail one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch

from dynamo_policies.errors import DynamoError
from dynamo_policies.observation import Nearest
from dynamo_policies.tensorfiles import read_tensors, write_tensors

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
PICTURE_HEIGHT, PICTURE_QUALITY = 96, 80


class NoveltyError(DynamoError):
    """Demonstrations can't be compared with anything, or a file of them is damaged."""


@dataclass(frozen=True)
class NoveltyConfig:
    """How many demonstrated observations are kept, and from which distance on an observation is new.

    A view is new beyond `margin` times the distance that the part `quantile` of the demonstrations keep.
    """

    kept: int = 1024
    quantile: float = 0.995
    margin: float = 1.25

    def __post_init__(self) -> None:
        if self.kept < 1 or not 0.0 < self.quantile <= 1.0 or self.margin <= 0.0:
            raise NoveltyError(
                f"{self} is impossible; kept >= 1, quantile in 0..1 and margin > 0 are possible"
            )


class Demonstrated(NamedTuple):
    """One episode, as far as it is compared."""

    features: FloatArray  # (T, F), the views' features joined
    images: Mapping[str, npt.NDArray[np.uint8]]  # camera -> (T, H, W, 3) RGB
    tick_ns: IntArray  # (T,)


class Novelty:
    """Compares observations with demonstrations."""

    def __init__(
        self,
        features: FloatArray,
        thresholds: FloatArray,
        episodes: IntArray,
        ticks_ns: IntArray,
        pictures: Sequence[bytes],
    ) -> None:
        """Take N observations: features (N, V, D), thresholds (V,), episodes and ticks (N,), N JPEG files."""
        self.features, self.thresholds = features, thresholds
        self.episodes, self.ticks_ns, self._pictures = episodes, ticks_ns, tuple(pictures)
        self._squares = np.square(features).sum(axis=2)  # (N, V)

    def __len__(self) -> int:
        return len(self.features)

    def nearest(self, features: FloatArray) -> Nearest:
        """Return the demonstrated observation nearest to features (F,); the ratio of such with NaN is NaN.

        Raises:
            NoveltyError: F is not V * D.
        """
        if features.size != self.thresholds.size * self.features.shape[2]:
            kept = self.features.shape[1:]
            raise NoveltyError(f"{features.size} features given, {kept} (views, each) are demonstrated")
        ratios = self._distances(features.reshape(self.features.shape[1:])) / self.thresholds  # (N, V)
        # The newest view decides how new it is, all views which demonstration is shown.
        return Nearest(int(np.square(ratios).sum(axis=1).argmin()), float(ratios.min(axis=0).max()))

    def picture(self, place: int) -> npt.NDArray[np.uint8]:
        """Return the cameras' images of a demonstrated observation, (H, W, 3) RGB, side by side."""
        decoded = cv2.imdecode(np.frombuffer(self._pictures[place], np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise NoveltyError(f"the picture of demonstration {place} is no JPEG file")
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    def save(self, path: Path) -> None:
        """Write everything to the safetensors file at `path`."""
        ends = np.cumsum([len(picture) for picture in self._pictures])
        tensors = {
            "features": self.features,
            "thresholds": self.thresholds,
            "episodes": self.episodes,
            "ticks_ns": self.ticks_ns,
            "picture_ends": ends.astype(np.int64),
            "pictures": np.frombuffer(b"".join(self._pictures), np.uint8).copy(),
        }
        write_tensors(path, {name: torch.from_numpy(array) for name, array in tensors.items()})

    def _distances(self, features: FloatArray) -> FloatArray:
        products = np.einsum("nvd,vd->nv", self.features, features, optimize=True)
        distances = self._squares - 2.0 * products + np.square(features).sum(axis=1)
        rooted: FloatArray = np.sqrt(np.maximum(distances, 0.0))
        return rooted


def load_novelty(path: Path) -> Novelty:
    """Return what `Novelty.save` wrote, or raise NoveltyError or TensorFileError."""
    given = {name: tensor.numpy() for name, tensor in read_tensors(path)[0].items()}
    expected = ("features", "thresholds", "episodes", "ticks_ns", "picture_ends", "pictures")
    if sorted(given) != sorted(expected):
        raise NoveltyError(f"{path} holds {sorted(given)} where {sorted(expected)} are needed")
    features, ends = given["features"], given["picture_ends"]
    counts = {len(given[name]) for name in ("features", "episodes", "ticks_ns", "picture_ends")}
    if features.ndim != 3 or len(counts) != 1 or given["thresholds"].shape != features.shape[1:2]:
        shapes = {name: array.shape for name, array in given.items()}
        raise NoveltyError(f"{path} holds arrays that do not fit each other: {shapes}")
    content = given["pictures"].tobytes()
    pictures = [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return Novelty(features, given["thresholds"], given["episodes"], given["ticks_ns"], pictures)


def calibrate(
    demonstrations: Sequence[Demonstrated], views: int, config: NoveltyConfig | None = None
) -> Novelty:
    """Return what compares with `demonstrations`, calibrated by leaving each episode out in turn.

    Raises:
        NoveltyError: there are not two episodes to tell from each other.
    """
    config = config or NoveltyConfig()
    if len(demonstrations) < 2:
        raise NoveltyError(f"{len(demonstrations)} episode given; at least 2 are needed to calibrate")
    features = np.concatenate([one.features for one in demonstrations]).astype(np.float32)
    features = features.reshape(len(features), views, -1)
    episodes = np.repeat(np.arange(len(demonstrations)), [len(one.features) for one in demonstrations])
    kept = np.unique(np.linspace(0, len(features) - 1, config.kept).round().astype(np.int64))
    thresholds = np.array(
        [_threshold(features[:, view], episodes, kept, config) for view in range(views)], np.float32
    )
    ticks_ns = np.concatenate([one.tick_ns for one in demonstrations])
    return Novelty(
        features[kept], thresholds, episodes[kept], ticks_ns[kept], _pictures(demonstrations, kept)
    )


def side_by_side(images: Sequence[npt.NDArray[np.uint8]], height: int) -> npt.NDArray[np.uint8]:
    """Return images (H, W, 3) at one height, in a row."""
    widths = [max(1, round(one.shape[1] * height / one.shape[0])) for one in images]
    resized = [
        cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA)
        for one, width in zip(images, widths, strict=True)
    ]
    return np.concatenate(resized, axis=1).astype(np.uint8, copy=False)


def _threshold(features: FloatArray, episodes: IntArray, kept: IntArray, config: NoveltyConfig) -> float:
    """Return the distance from which on one view, features (M, D), is new."""
    sample = features[kept]
    squares, nearest = np.square(sample).sum(axis=1), np.empty(len(features), np.float32)
    for episode in np.unique(episodes):
        own, others = episodes == episode, episodes[kept] != episode
        products = features[own] @ sample[others].T
        distances = np.square(features[own]).sum(axis=1)[:, None] - 2.0 * products + squares[others]
        nearest[own] = np.sqrt(np.maximum(distances.min(axis=1), 0.0))
    # Demonstrations that are all the same, as of a test, would make everything else infinitely new.
    return max(float(np.quantile(nearest, config.quantile)) * config.margin, 1e-6)


def _pictures(demonstrations: Sequence[Demonstrated], kept: IntArray) -> list[bytes]:
    starts = np.cumsum([0, *(len(one.features) for one in demonstrations)])
    pictures = []
    for place in kept:
        episode = int(np.searchsorted(starts, place, side="right")) - 1
        images = [stack[place - starts[episode]] for stack in demonstrations[episode].images.values()]
        row = cv2.cvtColor(side_by_side(images, PICTURE_HEIGHT), cv2.COLOR_RGB2BGR)
        done, file = cv2.imencode(".jpg", row, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
        assert done  # only an unknown format or an empty image fails
        pictures.append(file.tobytes())
    return pictures
