"""Camera images to the feature vector that policies read, by a frozen encoder."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dynamo_policies.encoders import Encoder
from dynamo_policies.engines.base import Engine
from dynamo_policies.engines.torch_engines import TorchEngine
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import DynamoError, UnknownNameError

Precision = Literal["float32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16}
TICKS_AT_ONCE = 32


class EmbedError(DynamoError):
    """Images do not fit the encoder."""


class Embedder:
    """Embeds the images of `cameras`, in this order, and joins the features: F = len(cameras) * feature_size.

    Holds a frozen copy of `encoder` in evaluation mode, in `precision`; the features are float32 in any case.
    """

    def __init__(
        self,
        encoder: Encoder,
        cameras: tuple[str, ...],
        *,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        if precision not in DTYPES:
            raise UnknownNameError("precision", precision, DTYPES)
        self.cameras = cameras
        self.device = torch.device(device)
        self._encoder = copy.deepcopy(encoder).requires_grad_(requires_grad=False).eval()
        self._encoder.to(device=self.device)
        self._encoder.trunk.to(dtype=DTYPES[precision]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        self.run_on(TorchEngine("eager", self._encoder, self.device))

    @property
    def encoder(self) -> Encoder:
        """The frozen encoder."""
        return self._encoder

    @property
    def engine(self) -> Engine:
        """What embeds single observations; `engine_choice` says why it is this one."""
        return self._engine

    def run_on(self, engine: Engine, why: str = "") -> None:
        """Embed single observations by `engine` from now on; episodes are embedded as before."""
        self._engine: Engine = engine
        self.engine_choice = why or engine.name

    @property
    def feature_size(self) -> int:
        """How many numbers one observation becomes."""
        return len(self.cameras) * self._encoder.config.feature_size

    def embed(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return the features (F,) of one observation's `images`, each (H, W, 3) RGB.

        Raises:
            EmbedError: a camera is missing or an image does not have the size the encoder was made for.
        """
        alone = {name: image[None] for name, image in images.items()}
        views = [self._of_camera(alone, name) for name in self.cameras]
        return self._engine.features(np.concatenate(views)).reshape(-1)

    def embed_ticks(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """Return the features (T, F) of T observations' `images`, each (T, H, W, 3) RGB, as of an episode."""
        ticks = len(self._of_camera(images, self.cameras[0]))
        blocks = [
            self._features({name: stack[start : start + TICKS_AT_ONCE] for name, stack in images.items()})
            for start in range(0, ticks, TICKS_AT_ONCE)
        ]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.feature_size), np.float32)

    def embed_episode(self, episode: Episode) -> npt.NDArray[np.float32]:
        """Return the features (T, F) of all ticks of `episode`."""
        return self.embed_ticks(episode.images)

    @torch.inference_mode()
    def _features(self, images: Mapping[str, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        # Views of one tick lie side by side: (T, V, H, W, 3).
        stacked = np.stack([self._of_camera(images, name) for name in self.cameras], axis=1)
        features: Tensor = self._encoder(torch.from_numpy(stacked).to(self.device))
        return features.flatten(1).float().cpu().numpy()

    def _of_camera(self, images: Mapping[str, npt.NDArray[np.uint8]], name: str) -> npt.NDArray[np.uint8]:
        if name not in images:
            raise EmbedError(f"no image of camera {name!r}; given are {sorted(images)}")
        size = self._encoder.config.image_size
        if images[name].shape[1:] != (size, size, 3) or images[name].dtype != np.uint8:
            given = f"{images[name].shape[1:]} {images[name].dtype}"
            raise EmbedError(
                f"camera {name!r}: image is {given}, the encoder was made for ({size}, {size}, 3) uint8"
            )
        return images[name]
