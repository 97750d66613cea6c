"""What runs an encoder on the images of one observation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import DynamoError

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs a frozen encoder, preprocessing included; safe to call from one thread, whichever."""

    @property
    def name(self) -> str:
        """Its name in `engines.choice.ENGINES`."""

    def features(self, images: Images) -> Features:
        """Return the features (V, F) of `images` (V, H, W, 3) RGB, one of each camera."""


class EngineError(DynamoError):
    """An engine can't be had here, or can't run this encoder."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"engine {name!r}: {reason}")
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What an engine is made for: always the same number of views, on a device, by so many CPU threads."""

    views: int
    device: str = "cpu"
    threads: int = 1

    def zeros(self, encoder: Encoder) -> Images:
        """Return black images of the right shape."""
        size = encoder.config.image_size
        return np.zeros((self.views, size, size, 3), np.uint8)


Maker = Callable[[Encoder, Shape], Engine]
