"""Image encoders: uint8 frames in, feature vectors out, and how they are kept on disk.

An encoder file is two files: `encoder.safetensors` (weights under torchvision's or timm's names) and
`encoder.json` (what it is and where it came from). A random, never trained encoder is an encoder like any
other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from dynamo_policies.configs import build
from dynamo_policies.decode import FrameSettings
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.resnet import CHANNELS, ResNet18
from dynamo_policies.nets.vit import VITS, VisionTransformer
from dynamo_policies.preprocessing import Fit, fitted
from dynamo_policies.tensorfiles import (
    TensorFileError,
    file_hash,
    fill,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)

# ImageNet's mean and deviation for RGB in 0..1: the constants that ResNet weights in the world expect.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
WEIGHTS_FILE = "encoder.safetensors"
Kind = Literal["resnet18", "vit_b16", "vit_s16", "vit_t16", "vit_t8"]
RECORD_FILE = "encoder.json"


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What an encoder is: its kind, the square image it was made for (pixels), its first weights' seed.

    `channels` are those of a ResNet's first convolution; 64 is the published one, fewer make it narrower and
    faster. A vision transformer (`vit_...`) has the sizes in `nets.vit.VITS` and takes no notice of them.
    `fit` makes images of `image_size` fit a network that was trained with images of `network_size`; without,
    it sees them as they are.
    """

    kind: Kind = "resnet18"
    image_size: int = 96
    crop: Literal["center", "none"] = "center"
    channels: int = CHANNELS
    fit: Fit = "none"
    network_size: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.image_size < 32:
            raise ConfigError(
                f"image_size {self.image_size} is too small for {self.kind}; at least 32 is possible"
            )
        if (self.fit == "none") != (self.network_size == 0):
            raise ConfigError(f"fit {self.fit} and network_size {self.network_size} do not go together")
        if self.kind in VITS and self.input_size % (patch := VITS[self.kind].patch):
            raise ConfigError(
                f"image_size {self.input_size} is not a multiple of {self.kind}'s patch of {patch}"
            )
        if self.channels < 1:
            raise ConfigError(f"channels {self.channels} is not at least 1")

    @property
    def feature_size(self) -> int:
        """How many numbers describe one image."""
        return VITS[self.kind].width if self.kind in VITS else 8 * self.channels

    @property
    def input_size(self) -> int:
        """The side of the square image that the network itself sees, pixels."""
        return self.network_size or self.image_size

    @property
    def frames(self) -> FrameSettings:
        """How camera images become this encoder's input."""
        return FrameSettings(size=self.image_size, crop=self.crop)


@dataclass(frozen=True, kw_only=True)
class EncoderRecord:
    """Where an encoder came from; `objective` is "random" for one that was never trained."""

    config: EncoderConfig
    objective: str = "random"
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    contract_hash: str = ""
    bag_hashes: tuple[str, ...] = ()
    weights_sha256: str = ""


class Encoder(nn.Module):
    """Images (..., H, W, 3), uint8 or float in 0..1, to features (..., feature_size); normalises inside.

    Features are the mean of a ResNet's last feature map or the class token of a vision transformer.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = make_trunk(config)
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(STD), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (..., feature_size) in the dtype of the weights."""
        leading = images.shape[:-3]
        features: Tensor = self.trunk(self.normalised(images.reshape(-1, *images.shape[-3:])))
        return features.reshape(*leading, self.config.feature_size)

    def normalised(self, images: Tensor) -> Tensor:
        """(N, H, W, 3) uint8 or 0..1 to (N, 3, H', W'), which is channels_last in memory without a copy."""
        weight = next(self.trunk.parameters())
        precision = weight.dtype if weight.dtype == torch.float64 else torch.float32
        scaled = images.to(precision)
        if images.dtype == torch.uint8:
            scaled = scaled / 255.0
        if self.config.fit != "none":
            scaled = fitted(scaled.permute(0, 3, 1, 2), self.config.network_size, self.config.fit)
            scaled = scaled.permute(0, 2, 3, 1)
        return ((scaled - self.mean) / self.std).to(weight.dtype).permute(0, 3, 1, 2)


def make_trunk(config: EncoderConfig) -> ResNet18 | VisionTransformer:
    """Return the network of `config` with the weights that its seed draws."""
    generator = torch.Generator().manual_seed(config.seed)
    if config.kind in VITS:
        return VisionTransformer(VITS[config.kind], config.input_size, generator)
    return ResNet18(generator, channels=config.channels)


class LoadedEncoder(NamedTuple):
    """An encoder and the record of where it came from."""

    encoder: Encoder
    record: EncoderRecord


def random_encoder(config: EncoderConfig) -> LoadedEncoder:
    """Return the encoder that `config.seed` draws, never trained, in evaluation mode."""
    return LoadedEncoder(_frozen(Encoder(config)), EncoderRecord(config=config))


def save_encoder(folder: Path, encoder: Encoder, record: EncoderRecord) -> EncoderRecord:
    """Write `encoder` and its record into `folder`; return the record with the weights' hash filled in."""
    if record.config != encoder.config:
        raise ConfigError(f"the record is of {record.config}, the encoder is {encoder.config}")
    write_tensors(folder / WEIGHTS_FILE, encoder.trunk.state_dict())
    record = dataclasses.replace(record, weights_sha256=file_hash(folder / WEIGHTS_FILE))
    write_json(folder / RECORD_FILE, dataclasses.asdict(record))
    return record


def load_encoder(path: Path | str) -> LoadedEncoder:
    """Return the encoder in the folder `path` (or of the weights file `path`), frozen, in evaluation mode.

    Raises:
        TensorFileError: a file is missing or damaged, or names and shapes do not fit the network.
    """
    path = Path(path)
    folder = path.parent if path.suffix == ".safetensors" else path
    record = parse_record(read_json(folder / RECORD_FILE), where=str(folder / RECORD_FILE))
    weights = folder / WEIGHTS_FILE
    if (found := file_hash(weights)) != record.weights_sha256:
        raise TensorFileError(
            f"{weights} has sha256 {found} where {RECORD_FILE} says {record.weights_sha256}"
        )
    return LoadedEncoder(encoder_from(record.config, read_tensors(weights)[0], where=str(weights)), record)


def encoder_from(config: EncoderConfig, tensors: Mapping[str, Tensor], *, where: str) -> Encoder:
    """Return an encoder of `config` holding `tensors` (the trunk's names), frozen, in evaluation mode."""
    encoder = Encoder(config)
    fill(encoder.trunk, tensors, where=where)
    return _frozen(encoder)


def parse_record(values: Mapping[str, Any], *, where: str) -> EncoderRecord:
    """Return the record in the plain `values` of an `encoder.json`."""
    return build(EncoderRecord, values, where=where)


def _frozen(encoder: Encoder) -> Encoder:
    return encoder.to(memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)  # type: ignore[call-overload, no-any-return]  # torch's stubs lack memory_format alone
