"""Encoders that others trained: ResNet-18 of ImageNet and R3M, ViT of VC-1, MVP and MAE, DynaMo as published.

Nothing is downloaded; the user brings the file. Where the files are, and their licences, docs/pretraining.md
says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dynamo_policies.encoders import (
    Encoder,
    EncoderConfig,
    EncoderRecord,
    Kind,
    LoadedEncoder,
    encoder_from,
    load_encoder,
)
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.foreign_weights import ForeignWeights, ForeignWeightsError, read_weights
from dynamo_policies.nets.resnet import ResNet18
from dynamo_policies.nets.vit import VITS
from dynamo_policies.preprocessing import Fit
from dynamo_policies.tensorfiles import file_hash

AUTO = "auto"
PUBLISHED_SIZE = 224  # pixels; all of them were trained with it


class Source(NamedTuple):
    """What is known of one kind of published weights."""

    network: Literal["resnet18", "vit"]
    fit: Fit  # what its own code does with images of another size


SOURCES: dict[str, Source] = {
    "imagenet": Source("resnet18", "none"),
    "dynamo": Source("resnet18", "none"),
    "r3m": Source("resnet18", "crop_bilinear"),
    "vc1": Source("vit", "crop_bicubic"),
    "mvp": Source("vit", "squeeze_bicubic"),  # made for 224; what it does with others is not stated
    "mae": Source("vit", "squeeze_bicubic"),  # the same
    "vit": Source("vit", "squeeze_bicubic"),  # one of the three above, not known which
}


def starting_encoder(config: EncoderConfig, path: Path | str) -> Encoder:
    """Return an encoder of `config` to train on, with the weights at `path`: a folder, or others' checkpoint.

    Raises:
        ConfigError: the encoder there is of another kind or width, or for other images.
    """
    path = Path(path)
    size, crop = config.image_size, config.crop
    loaded = load_encoder(path) if path.is_dir() else import_encoder(path, image_size=size, crop=crop)
    encoder, found = loaded.encoder, loaded.encoder.config
    for name in ("kind", "channels", "image_size", "crop"):
        if (given := getattr(found, name)) != (wanted := getattr(config, name)):
            raise ConfigError(f"init {path}: its {name} is {given}, the run's is {wanted}")
    encoder.config = dataclasses.replace(found, seed=config.seed)
    return encoder.requires_grad_(requires_grad=True).train()


def import_encoder(
    path: Path | str,
    kind: str = AUTO,
    *,
    image_size: int = PUBLISHED_SIZE,
    crop: Literal["center", "none"] = "center",
    network_size: int | None = None,
) -> LoadedEncoder:
    """Return the encoder in the checkpoint at `path` for images of `image_size` pixels, frozen.

    `network_size` runs the network itself on images of another size than its own; a vision transformer's
    positions are interpolated for it. The record says what the file was and what of it was left out.

    Raises:
        ForeignWeightsError: the file is not readable as data, or its layout is not that of `kind`.
        TensorFileError: its names or shapes do not fit the network.
    """
    path = Path(path)
    if kind != AUTO and kind not in SOURCES:
        raise UnknownNameError("encoder kind", kind, [AUTO, *SOURCES])
    weights = read_weights(path)
    network = _network(weights, path)
    kind = _detect(weights, network, path, image_size) if kind == AUTO else kind
    source = SOURCES[kind]
    if source.network != network:
        raise ForeignWeightsError(f"{path} holds a {network}; encoders of kind {kind!r} are {source.network}")
    config = EncoderConfig(image_size=image_size, crop=crop)
    if network == "vit":
        config, tensors = _vit(weights.tensors, config, source.fit, network_size, path)
    else:
        config, tensors = _resnet(weights.tensors, config, source.fit, network_size)
    record = EncoderRecord(
        config=config,
        objective=kind,
        settings={
            "file": path.name,
            "file_sha256": file_hash(path),
            "layout": weights.layout,
            "dropped": list(weights.dropped),
            "filled": sorted(set(tensors) - set(weights.tensors)),
        },
    )
    return LoadedEncoder(encoder_from(config, tensors, where=str(path)), record)


def _network(weights: ForeignWeights, path: Path) -> str:
    first = weights.tensors.get("conv1.weight")
    if first is not None and first.ndim == 4:
        return "resnet18"
    patches = weights.tensors.get("patch_embed.proj.weight")
    if patches is not None and patches.ndim == 4 and {"cls_token", "pos_embed"} <= set(weights.tensors):
        return "vit"
    found = ", ".join(list(weights.tensors)[:5])
    raise ForeignWeightsError(
        f"{path} ({weights.layout}) holds neither a ResNet (conv1.weight) nor a vision transformer "
        f"(cls_token, pos_embed, patch_embed.proj.weight); it has {len(weights.tensors)} tensors: {found}"
    )


def _detect(weights: ForeignWeights, network: str, path: Path, image_size: int) -> str:
    if weights.layout == "r3m":
        return "r3m"
    if network == "resnet18":
        return "dynamo" if weights.numbered else "imagenet"
    if {"optimizer", "scaler"} & set(weights.others):
        return "mae"
    # The files of VC-1 and MVP have one layout, and for images of their own size one meaning.
    if image_size == (native := _native_size(weights.tensors)):
        return "vit"
    raise ForeignWeightsError(
        f"{path} holds a vision transformer for images of {native} pixels; VC-1, MVP and MAE make others fit "
        f"in different ways, so for {image_size} pixels say which it is: vc1, mvp or mae"
    )


def _native_size(tensors: Mapping[str, Tensor]) -> int:
    patches = tensors["pos_embed"].shape[1] - 1  # (1, 1 + grid * grid, width)
    return int(patches**0.5 + 0.5) * int(tensors["patch_embed.proj.weight"].shape[2])


def _resnet(
    tensors: Mapping[str, Tensor], config: EncoderConfig, fit: Fit, network_size: int | None
) -> tuple[EncoderConfig, dict[str, Tensor]]:
    channels = int(tensors["conv1.weight"].shape[0])
    native = network_size or (0 if fit == "none" else PUBLISHED_SIZE)
    if native and fit == "none":
        fit = "squeeze_bicubic"
    config = dataclasses.replace(config, channels=channels, fit=fit, network_size=native)
    # Old files lack how many batches a batch norm has seen, which nothing depends on here.
    expected = ResNet18(torch.Generator(), channels=channels).state_dict()
    counters = {
        name: torch.zeros_like(value)
        for name, value in expected.items()
        if name.endswith("num_batches_tracked") and name not in tensors
    }
    return config, {**tensors, **counters}


def _vit(
    tensors: Mapping[str, Tensor], config: EncoderConfig, fit: Fit, network_size: int | None, path: Path
) -> tuple[EncoderConfig, dict[str, Tensor]]:
    kind = _vit_kind(tensors, path)
    size = network_size or _native_size(tensors)
    config = dataclasses.replace(config, kind=kind, fit=fit, network_size=size)
    return config, {**tensors, "pos_embed": resized_positions(tensors["pos_embed"], size // VITS[kind].patch)}


def _vit_kind(tensors: Mapping[str, Tensor], path: Path) -> Kind:
    width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
    layers = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    for kind, sizes in VITS.items():
        if (sizes.patch, sizes.width, sizes.layers) == (patch, width, layers):
            return kind  # type: ignore[return-value]  # the table's names are the type's
    known = {name: (sizes.patch, sizes.width, sizes.layers) for name, sizes in VITS.items()}
    raise ConfigError(f"{path}: patch, width and layers are {(patch, width, layers)}; possible are {known}")


def resized_positions(positions: Tensor, grid: int) -> Tensor:
    """Return `positions` (1, 1 + any square, E) for `grid` x `grid` patches; the class token's stays.

    Interpolated bicubically, as VC-1's code does.
    """
    old = round((positions.shape[1] - 1) ** 0.5)
    if old == grid:
        return positions
    patches = positions[:, 1:].reshape(1, old, old, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(patches, (grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
