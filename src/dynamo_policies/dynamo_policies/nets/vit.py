"""A vision transformer with fixed 2-D positions: images to one vector (arXiv 2010.11929 and 2111.06377).

Parameter names are those of timm's `VisionTransformer`, so that the checkpoints of MAE, VC-1 and MVP fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.errors import ConfigError

EPSILON = 1e-6  # of every layer norm
INITIAL_STD = 0.02  # of learned tokens


@dataclass(frozen=True, kw_only=True)
class VitSizes:
    """How large a vision transformer is, apart from its images: patches of `patch` x `patch` pixels."""

    patch: int
    width: int
    layers: int
    heads: int
    ratio: int = 4  # hidden units of the perceptrons over width

    def __post_init__(self) -> None:
        if min(self.patch, self.width, self.layers, self.heads, self.ratio) < 1:
            raise ConfigError(f"every size of a vision transformer must be at least 1: {self}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.width % 4:
            raise ConfigError(f"width {self.width} is not a multiple of 4, as sine-cosine positions need")


VITS: dict[str, VitSizes] = {
    "vit_b16": VitSizes(patch=16, width=768, layers=12, heads=12),  # of MAE, VC-1 and MVP: 86 million weights
    "vit_s16": VitSizes(patch=16, width=384, layers=12, heads=6),  # 22 million
    "vit_t16": VitSizes(patch=16, width=192, layers=12, heads=3),  # 5.5 million
    "vit_t8": VitSizes(patch=8, width=192, layers=12, heads=3),  # for images of about 96 pixels
}


class VisionTransformer(nn.Module):
    """Normalised images (N, 3, H, W), float, to the class token (N, width) after the last layer norm.

    `image_size` is that of the square images in pixels, a multiple of the patch's. `generator` draws the
    initial weights as MAE does: Xavier uniform for linear layers and patches, normal for the class token.
    """

    pos_embed: Tensor

    def __init__(self, sizes: VitSizes, image_size: int, generator: torch.Generator) -> None:
        super().__init__()
        if image_size % sizes.patch:
            raise ConfigError(
                f"image_size {image_size} is not a multiple of the patch's {sizes.patch} pixels"
            )
        self.sizes = sizes
        self.grid = image_size // sizes.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.register_buffer("pos_embed", positions(sizes.width, self.grid))
        self.patch_embed = PatchEmbedding(sizes)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads, sizes.ratio) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.width, eps=EPSILON)
        draw(self, generator)
        nn.init.normal_(self.cls_token, std=INITIAL_STD, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, width) of `images` (N, 3, H, W)."""
        return self.encode(self.patches(images))[:, 0]

    def patches(self, images: Tensor) -> Tensor:
        """Return one token for each patch with its position added, (N, P, width), row by row."""
        tokens: Tensor = self.patch_embed(images)
        return tokens + self.pos_embed[:, 1:]

    def encode(self, patches: Tensor) -> Tensor:
        """Return class token and `patches` (N, P, width) of any number, (N, 1 + P, width), normalised."""
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(patches), -1, -1)
        x = torch.cat([first.to(patches.dtype), patches], dim=1)
        for block in self.blocks:
            x = block(x)
        normalised: Tensor = self.norm(x)
        return normalised


class PatchEmbedding(nn.Module):
    """Images (N, 3, H, W) to one vector for each patch, (N, P, width), row by row."""

    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, kernel_size=sizes.patch, stride=sizes.patch)

    def forward(self, images: Tensor) -> Tensor:
        """Return the patches' vectors."""
        found: Tensor = self.proj(images)
        return found.flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention among all tokens, then a perceptron of `ratio` times the width, each added to its input."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Perceptron(width, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `x` (N, T, width)."""
        x = x + self.attn(self.norm1(x))
        added: Tensor = self.mlp(self.norm2(x))
        return x + added


class Attention(nn.Module):
    """Multi-head attention of every token to every token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)  # queries, keys and values at once
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the attention's output for `x` (N, T, width)."""
        batch, length, width = x.shape
        split = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        merged: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return merged


class Perceptron(nn.Module):
    """Two linear layers around an exact GELU."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, ratio * width)
        self.fc2 = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the perceptron's output for `x` (N, T, width)."""
        added: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return added


def positions(width: int, grid: int) -> Tensor:
    """Return fixed positions (1, 1 + grid * grid, width) for a class token (zeros) and patches row by row.

    The first half of the numbers tells the column, the second the row; each half is sines, then cosines, of
    frequencies falling from 1 towards 1/10000. As in MAE's code.
    """
    frequencies = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = torch.arange(grid, dtype=torch.float64)[:, None] * frequencies  # (grid, width / 4)
    line = torch.cat([angles.sin(), angles.cos()], dim=1)  # (grid, width / 2)
    columns = line[None].expand(grid, -1, -1)
    rows = line[:, None].expand(-1, grid, -1)
    patches = torch.cat([columns, rows], dim=2).reshape(grid * grid, width)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), patches])[None].float()


def draw(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all linear layers and patch embeddings in `module`; biases become 0."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            # A patch embedding is a linear layer over the numbers of a patch.
            nn.init.xavier_uniform_(part.weight.data.view(len(part.weight), -1), generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
