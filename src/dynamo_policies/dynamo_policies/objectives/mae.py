"""MAE: a vision transformer learns by painting what is masked of an image (arXiv 2111.06377).

DynaMo's paper names the repository facebookresearch/mae, a ViT-B and, in table 12, AdamW with a learning
rate of 2.5e-5, weight decay 0.05, batches of 64 images and 400 epochs; 2.5e-5 is the repository's rule for
batches of 64 at a base rate of 1e-4. Patches, masks, decoder, loss and augmentations here are the
repository's.

Not stated anywhere: whether pixels were normalised by patch (off by default there, recommended on), the
warmup in DynaMo's runs (40 epochs there), and which feature was used downstream. Here it is the class
token, as for VC-1 and MVP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dynamo_policies.augment import Flip, ResizedCrop, Step, augment
from dynamo_policies.encoders import Encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.vit import EPSILON, INITIAL_STD, VITS, Block, VisionTransformer, draw, positions
from dynamo_policies.objectives.base import Losses, Objective, ObjectiveConfig
from dynamo_policies.objectives.frames import as_frames, as_images, step_generator
from dynamo_policies.objectives.terms import exact

PIXEL_EPSILON = 1e-6  # added to a patch's variance before it is divided by


@dataclass(frozen=True, kw_only=True)
class MaeConfig(ObjectiveConfig):
    """Settings of MAE; the defaults are the repository's for a ViT-B.

    `pixels`: what is painted, the normalised image, or each patch of it less its mean over its deviation.
    """

    mask_share: float = 0.75
    decoder_width: int = 512
    decoder_layers: int = 8
    decoder_heads: int = 16
    pixels: Literal["image", "patch"] = "image"
    crop_scale_min: float = 0.2

    def __post_init__(self) -> None:
        if not 0.0 < self.mask_share < 1.0:
            raise ConfigError(f"mask_share {self.mask_share:g} is not in 0 < share < 1")
        if min(self.decoder_width, self.decoder_layers, self.decoder_heads) < 1:
            raise ConfigError(f"every size of the decoder must be at least 1: {self}")
        if self.decoder_width % self.decoder_heads or self.decoder_width % 4:
            raise ConfigError(
                f"decoder_width {self.decoder_width} is no multiple of 4 and heads {self.decoder_heads}"
            )
        if not 0.0 < self.crop_scale_min <= 1.0:
            raise ConfigError(f"crop_scale_min {self.crop_scale_min:g} is not in 0 < share <= 1")

    @property
    def augmentations(self) -> tuple[Step, ...]:
        """What is done to an image before it is masked."""
        return ResizedCrop((self.crop_scale_min, 1.0), mode="bicubic"), Flip()


class Mae(Objective):
    """MAE over all frames of all cameras. The encoder sees `1 - mask_share` of an image's patches."""

    advice = "a lower learning_rate or a longer warmup keep a vision transformer from it"

    def __init__(self, config: MaeConfig, encoder: Encoder, generator: torch.Generator) -> None:
        super().__init__(config, encoder, generator)
        if not isinstance(encoder.trunk, VisionTransformer):
            raise ConfigError(
                f"mae needs a vision transformer; encoder: {encoder.config.kind} is given, "
                f"possible are {', '.join(VITS)}"
            )
        self.config = config
        self.decoder = Decoder(config, encoder.trunk, generator)

    def forward(self, segments: Tensor) -> Losses:
        """Return the losses of `segments` (B, T, V, H, W, 3) uint8."""
        generator = step_generator()
        images = augment(as_images(segments), self.config.augmentations, generator)
        normalised = self.encoder.normalised(as_frames(images))
        trunk = self.encoder.trunk
        assert isinstance(trunk, VisionTransformer)
        patches = trunk.patches(normalised)
        order = torch.rand(patches.shape[:2], generator=generator).argsort(dim=1).to(patches.device)
        seen = trunk.encode(take(patches, order[:, : self._seen(patches.shape[1])]))
        painted = self.decoder(seen, order)
        total = masked_error(painted, self._goals(normalised), order[:, seen.shape[1] - 1 :])
        return Losses(total, {"loss": total.detach()}, seen[:, 0].detach().float())

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder and decoder."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def _seen(self, patches: int) -> int:
        seen = int(patches * (1.0 - self.config.mask_share))
        if seen < 1:
            raise ConfigError(
                f"mask_share {self.config.mask_share:g} leaves none of {patches} patches to see"
            )
        return seen

    def _goals(self, images: Tensor) -> Tensor:
        """Return what is to be painted of normalised `images` (N, 3, H, W), (N, P, numbers of a patch)."""
        patches = cut_patches(exact(images), self.decoder.patch)
        if self.config.pixels == "image":
            return patches
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return (patches - mean) / (variance + PIXEL_EPSILON).sqrt()


class Decoder(nn.Module):
    """Tokens of the seen patches to the numbers of all of them, (N, P, patch * patch * 3)."""

    positions: Tensor

    def __init__(self, config: MaeConfig, trunk: VisionTransformer, generator: torch.Generator) -> None:
        super().__init__()
        width, self.patch = config.decoder_width, trunk.sizes.patch
        self.read = nn.Linear(trunk.sizes.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("positions", positions(width, trunk.grid), persistent=False)
        self.blocks = nn.ModuleList(
            Block(width, config.decoder_heads, ratio=4) for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.write = nn.Linear(width, 3 * self.patch**2)
        draw(self, generator)
        nn.init.normal_(self.mask_token, std=INITIAL_STD, generator=generator)

    def forward(self, seen: Tensor, order: Tensor) -> Tensor:
        """Return what is painted after `seen` (N, 1 + S, width of the encoder): class token, then patches.

        `order` (N, P) says which patch is where: first the S that are seen, then those that are not.
        """
        tokens = self.read(seen)
        missing = self.mask_token.to(tokens.dtype).expand(len(seen), order.shape[1] + 1 - seen.shape[1], -1)
        shuffled = torch.cat([tokens[:, 1:], missing], dim=1)
        patches = take(shuffled, order.argsort(dim=1))
        x = torch.cat([tokens[:, :1], patches], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        painted: Tensor = self.write(self.norm(x))
        return painted[:, 1:]


def take(rows: Tensor, places: Tensor) -> Tensor:
    """Return those of `rows` (N, P, E) at `places` (N, S), in that order, (N, S, E)."""
    return rows.gather(1, places[..., None].expand(-1, -1, rows.shape[-1]))


def cut_patches(images: Tensor, patch: int) -> Tensor:
    """Return the patches of `images` (N, 3, H, W) row by row, (N, P, patch * patch * 3), channels last."""
    cut = images.unfold(2, patch, patch).unfold(3, patch, patch)  # (N, 3, rows, columns, patch, patch)
    return cut.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def masked_error(painted: Tensor, goals: Tensor, masked: Tensor) -> Tensor:
    """Return the mean squared error of `painted` to `goals`, both (N, P, D), at `masked` (N, M) places."""
    return (take(exact(painted), masked) - take(goals, masked)).square().mean()
