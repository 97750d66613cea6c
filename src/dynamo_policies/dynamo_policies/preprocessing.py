"""How an encoder trained elsewhere wants images of another size than it was trained with."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

Fit = Literal["none", "crop_bilinear", "crop_bicubic", "squeeze_bicubic"]
BORDER = 256 / 224  # before the crop the image is larger than the network's by as much


def fitted(images: Tensor, size: int, fit: Fit) -> Tensor:
    """Return `images` (N, 3, H, W) in 0..1 as the network wants them, (N, 3, size, size).

    `crop_...` resizes to 256/224 of `size` and takes the centre, as R3M (bilinear) and VC-1 (bicubic) do;
    `squeeze_bicubic` only resizes. Images of the right size stay as they are: the published pipelines would
    resize and crop these too, and whether the DynaMo paper's authors did is not stated. Resizing averages
    when it shrinks and does not round to bytes; whether R3M's averages depends on its torchvision.
    """
    if fit == "none" or images.shape[2:] == (size, size):
        return images
    larger = round(size * BORDER) if fit.startswith("crop") else size
    mode = "bilinear" if fit.endswith("bilinear") else "bicubic"
    resized = functional.interpolate(images, (larger, larger), mode=mode, antialias=True).clamp(0.0, 1.0)
    start = round((larger - size) / 2)
    return resized[:, :, start : start + size, start : start + size]
