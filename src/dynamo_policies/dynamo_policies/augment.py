"""Random changes of images for objectives that compare two looks at a scene, as tensor operations on a batch.

Every image of a batch is changed by itself. All chance comes from a generator on the CPU, so that the same
seed gives the same changes on every device. The ranges and formulas are those of torchvision's transforms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

GREY = (0.2989, 0.587, 0.114)  # of ITU-R BT.601: the weight of red, green and blue in brightness
RATIOS = (3 / 4, 4 / 3)  # of a crop's width to its height
ATTEMPTS = 10  # boxes drawn for a crop before the whole image is taken
Step = Callable[[Tensor, torch.Generator], Tensor]


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's stubs; draws can't be traced
def augment(images: Tensor, steps: Sequence[Step], generator: torch.Generator) -> Tensor:
    """Return `images` (N, 3, H, W), float in 0..1, changed by `steps` one after the other."""
    # Not under autocast: eight bits of mantissa are fewer than an image has.
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        for step in steps:
            images = step(images, generator)
    return images


@dataclass(frozen=True)
class ResizedCrop:
    """A box of a share of the area in `scale`, width to height in 3/4..4/3, made as large as the image."""

    scale: tuple[float, float]
    mode: Literal["bilinear", "bicubic"] = "bilinear"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images` (N, 3, H, W) cropped."""
        boxes = draw_boxes(len(images), images.shape[-2:], self.scale, generator).to(images.device)
        return cut(images, boxes, mode=self.mode)


@dataclass(frozen=True)
class ColourJitter:
    """Brightness, contrast and saturation times 1 -+ range, hue turned by -+ range, in random order."""

    brightness: float
    contrast: float
    saturation: float
    hue: float
    probability: float = 1.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images` (N, 3, H, W) with other colours."""
        ranges = (self.brightness, self.contrast, self.saturation)
        factors = [_uniform(len(images), (max(0.0, 1.0 - r), 1.0 + r), generator) for r in ranges]
        factors.append(_uniform(len(images), (-self.hue, self.hue), generator))
        chosen = _chosen(len(images), self.probability, generator)
        order = torch.rand(len(images), len(_COLOURS), generator=generator).argsort(dim=1)
        result = images.clone()
        for place in range(len(_COLOURS)):
            for number, change in enumerate(_COLOURS):
                rows = (chosen & (order[:, place] == number)).nonzero()[:, 0]
                if len(rows):
                    on_device = rows.to(images.device)
                    result[on_device] = change(result[on_device], factors[number][rows].to(images))
        return result


@dataclass(frozen=True)
class Greyscale:
    """The brightness in all three channels."""

    probability: float

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images` (N, 3, H, W), some of them grey."""
        return _where(self.probability, grey(images).expand_as(images), images, generator)


@dataclass(frozen=True)
class Flip:
    """Left for right."""

    probability: float = 0.5

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images` (N, 3, H, W), some of them mirrored."""
        return _where(self.probability, images.flip(-1), images, generator)


@dataclass(frozen=True)
class Solarise:
    """All that is brighter than `threshold` inverted."""

    probability: float
    threshold: float = 0.5

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images` (N, 3, H, W), some of them solarised."""
        inverted = torch.where(images >= self.threshold, 1.0 - images, images)
        return _where(self.probability, inverted, images, generator)


@dataclass(frozen=True)
class Blur:
    """A Gaussian of a deviation in `sigma` (pixels), over 2 * `radius` + 1 pixels, mirrored at the edges."""

    sigma: tuple[float, float]
    radius: int
    probability: float

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return `images` (N, 3, H, W), some of them blurred."""
        sigma = _uniform(len(images), self.sigma, generator)
        rows = _chosen(len(images), self.probability, generator).nonzero()[:, 0]
        result = images.clone()
        if len(rows):
            on_device = rows.to(images.device)
            result[on_device] = blur(images[on_device], sigma[rows].to(images), self.radius)
        return result


def grey(images: Tensor) -> Tensor:
    """Return the brightness (N, 1, H, W) of `images` (N, 3, H, W)."""
    return torch.einsum("nchw,c->nhw", images, images.new_tensor(GREY))[:, None]


def brighten(images: Tensor, factors: Tensor) -> Tensor:
    """Return `images` (N, 3, H, W) times `factors` (N,)."""
    return (images * _each(factors)).clamp(0.0, 1.0)


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Return `images` (N, 3, H, W) with distances from their mean brightness times `factors` (N,)."""
    mean = grey(images).mean(dim=(1, 2, 3), keepdim=True)
    return (mean + _each(factors) * (images - mean)).clamp(0.0, 1.0)


def saturate(images: Tensor, factors: Tensor) -> Tensor:
    """Return `images` (N, 3, H, W) with distances from grey times `factors` (N,)."""
    middle = grey(images)
    return (middle + _each(factors) * (images - middle)).clamp(0.0, 1.0)


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Return `images` (N, 3, H, W) with their hue turned by `turns` (N,), 1 being once around."""
    value, least = images.amax(dim=1), images.amin(dim=1)
    chroma = value - least
    red, green, blue = images.unbind(dim=1)
    safe = chroma.clamp_min(torch.finfo(images.dtype).tiny)
    sixths = torch.where(
        value == red,
        ((green - blue) / safe) % 6.0,
        torch.where(value == green, (blue - red) / safe + 2.0, (red - green) / safe + 4.0),
    )
    turned = sixths + 6.0 * turns[:, None, None]
    # Channel by channel: value less chroma, times how far the hue is from that channel's.
    shares = [(offset + turned) % 6.0 for offset in (5.0, 3.0, 1.0)]
    return torch.stack([value - chroma * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0) for k in shares], dim=1)


_COLOURS = (brighten, contrast, saturate, turn_hue)


def blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Return `images` (N, 3, H, W) under Gaussians of deviations `sigma` (N,) cut off at `radius` pixels."""
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma[:, None]).square())
    weights = weights / weights.sum(dim=1, keepdim=True)  # (N, K)
    padded = functional.pad(images, (radius, radius, radius, radius), mode="reflect")
    height, width = images.shape[-2:]
    across = torch.zeros_like(padded[..., :width])
    blurred = torch.zeros_like(images)
    for k in range(2 * radius + 1):
        across.addcmul_(_each(weights[:, k]), padded[..., k : k + width])
    for k in range(2 * radius + 1):
        blurred.addcmul_(_each(weights[:, k]), across[..., k : k + height, :])
    return blurred


def draw_boxes(
    count: int, size: Sequence[int], scale: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Return `count` boxes (count, 4) of integers, top, left, height, width, within `size` (two)."""
    height, width = size
    area = height * width * _uniform(count * ATTEMPTS, scale, generator).view(count, ATTEMPTS)
    bounds = (math.log(RATIOS[0]), math.log(RATIOS[1]))
    ratio = _uniform(count * ATTEMPTS, bounds, generator).view(count, ATTEMPTS).exp()
    widths, heights = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    none = ~fits.any(dim=1)
    wide = widths.gather(1, first)[:, 0].masked_fill(none, width)
    high = heights.gather(1, first)[:, 0].masked_fill(none, height)
    top = (torch.rand(count, generator=generator, dtype=torch.float64) * (height - high + 1)).floor()
    left = (torch.rand(count, generator=generator, dtype=torch.float64) * (width - wide + 1)).floor()
    return torch.stack([top, left, high, wide], dim=1).long()


def cut(images: Tensor, boxes: Tensor, *, mode: str = "bilinear") -> Tensor:
    """Return what `boxes` (N, 4) hold of `images` (N, 3, H, W), each as large as the image.

    Pixels are those of torch's `interpolate` of the box; bicubic ones look past the box's edge by two pixels.
    """
    top, left, high, wide = boxes.to(images.dtype).unbind(dim=1)
    height, width = images.shape[-2:]
    columns = _places(left, wide, width)[:, None, :].expand(-1, height, -1)
    rows = _places(top, high, height)[:, :, None].expand(-1, -1, width)
    grid = torch.stack([columns, rows], dim=-1)
    found = functional.grid_sample(images, grid, mode=mode, padding_mode="border", align_corners=False)
    return found.clamp(0.0, 1.0)


def _places(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return where `size` pixels of boxes of `length` (N,) from `start` (N,) lie, -1..1 along the image."""
    steps = (torch.arange(size, device=start.device, dtype=start.dtype) + 0.5) / size
    within = torch.minimum((steps * length[:, None] - 0.5).clamp_min(0.0), length[:, None] - 1.0)
    return (2.0 * (start[:, None] + within) + 1.0) / size - 1.0


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _uniform(count: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(count, generator=generator, dtype=torch.float64)


def _chosen(count: int, probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator) < probability


def _where(probability: float, changed: Tensor, images: Tensor, generator: torch.Generator) -> Tensor:
    chosen = _chosen(len(images), probability, generator).to(images.device)
    return torch.where(_each(chosen), changed, images)
