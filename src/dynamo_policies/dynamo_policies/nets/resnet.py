"""ResNet-18 without its classifier: images to one vector of 512 numbers (He et al. 2016, arXiv 1512.03385).

Parameter names are those of torchvision's `resnet18`, so that its checkpoints fit once `fc` is dropped.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 64
_STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # multiple of the first channels, and stride, of layer1 to layer4


class ResNet18(nn.Module):
    """Normalised images (N, 3, H, W), float, to the mean (N, 8 * channels) of the last feature map.

    `channels` are those of the first convolution: 64 in the published network, fewer for a narrower one.
    `generator` draws the initial weights: Kaiming normal by fan-out for convolutions, 1 and 0 for batch
    norms, as torchvision does.
    """

    def __init__(self, generator: torch.Generator, *, channels: int = CHANNELS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        first = channels
        for number, (multiple, stride) in enumerate(_STAGES, start=1):
            width = multiple * first
            stage = nn.Sequential(BasicBlock(channels, width, stride), BasicBlock(width, width, 1))
            self.add_module(f"layer{number}", stage)
            channels = width
        self._draw(generator)

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 8 * channels) of `images` (N, 3, H, W)."""
        x = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3))

    def _draw(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu", generator=generator
                )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, (N, C, H, W) to (N, width, H / stride, W / stride)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            shortcut = nn.Conv2d(channels, width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `x` (N, C, H, W)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.downsample(x), inplace=True)
