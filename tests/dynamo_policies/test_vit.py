"""The vision transformer against a second, literal transcription of it in float64."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import EncoderConfig, EncoderRecord, load_encoder, random_encoder, save_encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.vit import VITS, VisionTransformer, VitSizes, positions

SMALL = VitSizes(patch=4, width=8, layers=2, heads=2)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def oracle(net: VisionTransformer, image: torch.Tensor) -> torch.Tensor:
    """One image (3, H, W) to its class token, token by token and head by head."""
    p = net.state_dict()
    width, heads, patch = net.sizes.width, net.sizes.heads, net.sizes.patch
    size, grid = width // heads, image.shape[-1] // patch

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return p[f"{name}.weight"] @ x + p[f"{name}.bias"]

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean()
        return p[f"{name}.weight"] * centred / torch.sqrt((centred**2).mean() + 1e-6) + p[f"{name}.bias"]

    kernel = p["patch_embed.proj.weight"]
    rows = [p["cls_token"][0, 0] + p["pos_embed"][0, 0]]
    for i in range(grid):
        for j in range(grid):
            pixels = image[:, i * patch : (i + 1) * patch, j * patch : (j + 1) * patch]
            token = (kernel * pixels).sum((1, 2, 3)) + p["patch_embed.proj.bias"]
            rows.append(token + p["pos_embed"][0, 1 + i * grid + j])
    for layer in range(net.sizes.layers):
        block = f"blocks.{layer}"
        split = [linear(f"{block}.attn.qkv", norm(f"{block}.norm1", row)) for row in rows]
        attended = []
        for t in range(len(rows)):
            parts = []
            for head in range(heads):
                q, k, v = (slice(n * width + head * size, n * width + (head + 1) * size) for n in range(3))
                scores = torch.stack([split[t][q] @ other[k] / math.sqrt(size) for other in split])
                weights = torch.exp(scores) / torch.exp(scores).sum()
                parts.append(sum(weight * other[v] for weight, other in zip(weights, split, strict=True)))
            attended.append(rows[t] + linear(f"{block}.attn.proj", torch.cat(parts)))
        rows = []
        for row in attended:
            hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", row))
            hidden = 0.5 * hidden * (1.0 + torch.erf(hidden / math.sqrt(2.0)))
            rows.append(row + linear(f"{block}.mlp.fc2", hidden))
    return norm("norm", rows[0])


def test_features_are_those_of_a_literal_transcription() -> None:
    net = VisionTransformer(SMALL, 12, generator()).double()
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64, generator=generator())
    expected = torch.stack([oracle(net, image) for image in images])
    torch.testing.assert_close(net(images), expected, rtol=1e-10, atol=1e-12)


def test_vit_b16_has_timms_names_and_sizes() -> None:
    state = VisionTransformer(VITS["vit_b16"], 224, generator()).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert shapes["cls_token"] == (1, 1, 768)
    assert shapes["pos_embed"] == (1, 197, 768)
    assert shapes["patch_embed.proj.weight"] == (768, 3, 16, 16)
    assert shapes["blocks.0.norm1.weight"] == (768,)
    assert shapes["blocks.11.attn.qkv.bias"] == (2304,)
    assert shapes["blocks.3.attn.proj.weight"] == (768, 768)
    assert shapes["blocks.7.mlp.fc1.weight"] == (3072, 768)
    assert shapes["blocks.7.mlp.fc2.weight"] == (768, 3072)
    assert shapes["norm.bias"] == (768,)
    assert len(shapes) == 4 + 12 * 12 + 2
    assert (
        sum(tensor.numel() for tensor in state.values()) == 85_798_656
    )  # timm's vit_base_patch16_224 less its head


def test_positions_tell_column_and_row() -> None:
    table = positions(8, 3)[0]
    assert torch.equal(table[0], torch.zeros(8))
    for row in range(3):
        for column in range(3):
            expected = [
                wave(place * frequency)
                for place in (column, row)
                for wave in (math.sin, math.cos)
                for frequency in (1.0, 0.01)
            ]
            assert table[1 + 3 * row + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_positions_are_no_parameter_but_are_kept() -> None:
    net = VisionTransformer(SMALL, 12, generator())
    assert "pos_embed" in net.state_dict()
    assert "pos_embed" not in dict(net.named_parameters())


def test_a_vision_transformer_is_kept_and_deployed_as_any_encoder(tmp_path: Path) -> None:
    config = EncoderConfig(kind="vit_t8", image_size=32, seed=4)
    made = random_encoder(config).encoder
    save_encoder(tmp_path, made, EncoderRecord(config=config, objective="mae"))
    loaded = load_encoder(tmp_path)
    assert loaded.record.objective == "mae"
    images = {name: np.random.default_rng(5).integers(0, 256, (32, 32, 3), dtype=np.uint8) for name in "ab"}
    embedder = Embedder(loaded.encoder, ("a", "b"))
    features = embedder.embed(images)
    assert features.shape == (embedder.feature_size,) == (2 * 192,)
    token = made.trunk(made.normalised(torch.from_numpy(images["b"])[None]))[0]
    np.testing.assert_allclose(features[192:], token.numpy(), rtol=1e-4, atol=1e-5)


def test_patches_must_fill_the_image() -> None:
    with pytest.raises(ConfigError, match="image_size 100 is not a multiple of vit_b16's patch of 16"):
        EncoderConfig(kind="vit_b16", image_size=100)
    with pytest.raises(ConfigError, match="image_size 13 is not a multiple of the patch's 4 pixels"):
        VisionTransformer(SMALL, 13, generator())


@pytest.mark.parametrize(("width", "heads"), [(10, 4), (6, 2), (0, 1)])
def test_impossible_sizes_are_refused(width: int, heads: int) -> None:
    with pytest.raises(ConfigError, match=r"multiple of|at least 1"):
        VitSizes(patch=4, width=width, layers=1, heads=heads)
