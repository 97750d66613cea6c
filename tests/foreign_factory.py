"""Small checkpoints laid out as the published ones are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dynamo_policies.nets.resnet import ResNet18
from dynamo_policies.nets.vit import VITS, VisionTransformer

NUMBERS = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}


def resnet(channels: int = 4) -> dict[str, Tensor]:
    """Torchvision's names, with running statistics that are no longer at their start."""
    net = ResNet18(torch.Generator().manual_seed(11), channels=channels).train()
    net(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(12)))
    return net.state_dict()


def vit(size: int = 32) -> dict[str, Tensor]:
    """Timm's names, of the smallest network in the table."""
    return VisionTransformer(VITS["vit_t16"], size, torch.Generator().manual_seed(13)).state_dict()


def decoder() -> dict[str, Tensor]:
    """What MAE-like checkpoints hold beside the encoder."""
    names = ("mask_token", "decoder_pos_embed", "decoder_blocks.0.norm1.weight", "decoder_pred.bias")
    return {name: torch.ones(3) for name in names}


def imagenet() -> dict[str, Tensor]:
    """Flat, with the classifier, and without counters of batches as torchvision's file is."""
    kept = {name: value for name, value in resnet().items() if not name.endswith("num_batches_tracked")}
    return kept | {"fc.weight": torch.ones(5, 32), "fc.bias": torch.ones(5)}


def r3m() -> dict[str, Any]:
    """Under `r3m`, with the language model's weights beside."""
    weights = {f"module.convnet.{name}": value for name, value in resnet().items()}
    weights |= {"module.lang_enc.model.weight": torch.ones(2), "module.lang_rew.pred.0.bias": torch.ones(2)}
    return {"r3m": weights, "global_step": 7}


def dynamo() -> dict[str, Tensor]:
    """The wrapper's numbered names."""
    split = {name: name.split(".", 1) for name in resnet()}
    return {f"resnet.{NUMBERS[head]}.{rest}": resnet()[name] for name, (head, rest) in split.items()}


def vc1() -> dict[str, Any]:
    """Under `model`, decoder included."""
    return {"model": vit() | decoder()}


def mae() -> dict[str, Any]:
    """As MAE's training saves it."""
    return {
        "model": vit() | decoder(),
        "optimizer": {"state": {}, "param_groups": []},
        "epoch": 399,
        "scaler": {},
        "args": argparse.Namespace(batch_size=64, model="mae_vit_base_patch16"),
    }


def save(path: Path, content: Any) -> Path:
    """Write `content` as PyTorch does."""
    torch.save(content, path)
    return path
