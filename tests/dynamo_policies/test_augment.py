"""Augmentations against other people's implementations of the same formulas, and properties of the draws."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from dynamo_policies.augment import (
    Blur,
    ColourJitter,
    Flip,
    Greyscale,
    ResizedCrop,
    Solarise,
    Step,
    augment,
    blur,
    brighten,
    contrast,
    cut,
    draw_boxes,
    saturate,
    turn_hue,
)

ALL: list[Step] = [
    ResizedCrop((0.2, 1.0)),
    ColourJitter(0.4, 0.4, 0.2, 0.1, probability=0.8),
    Greyscale(0.2),
    Blur((0.1, 2.0), radius=3, probability=0.5),
    Solarise(0.2),
    Flip(),
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 6, size: int = 12) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=generator(9), dtype=torch.float64)


def test_hue_turns_as_in_the_standard_library() -> None:
    turns = torch.tensor([0.0, 0.1, -0.3, 0.5, 1.0, -0.05], dtype=torch.float64)
    given = turn_hue(images(), turns)
    for n, turn in enumerate(turns.tolist()):
        for y in range(12):
            hue, saturation, value = colorsys.rgb_to_hsv(*images()[n, :, y, 3].tolist())
            expected = colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)
            assert given[n, :, y, 3].tolist() == pytest.approx(expected, abs=1e-9)


def test_grey_has_no_hue_to_turn() -> None:
    flat = torch.full((1, 3, 2, 2), 0.4)
    torch.testing.assert_close(turn_hue(flat, torch.tensor([0.3])), flat)


def test_brightness_contrast_and_saturation_are_blends() -> None:
    factors = torch.tensor([0.0, 0.5, 1.0, 1.5, 0.2, 0.9], dtype=torch.float64)
    source = images()
    for n, factor in enumerate(factors.tolist()):
        red, green, blue = source[n]
        luma = 0.2989 * red + 0.587 * green + 0.114 * blue
        mean = torch.full_like(source[n], luma.mean().item())
        for change, other in (
            (brighten, 0 * source[n]),
            (contrast, mean),
            (saturate, luma.expand(3, -1, -1)),
        ):
            expected = (factor * source[n] + (1 - factor) * other).clamp(0, 1)
            torch.testing.assert_close(change(source, factors)[n], expected)


def test_blur_is_a_gaussian() -> None:
    sigma = torch.tensor([0.5, 1.0, 1.9], dtype=torch.float64)
    given = blur(images(3, size=20), sigma, radius=8)
    for n in range(3):
        for channel in range(3):
            expected = gaussian_filter(
                images(3, size=20)[n, channel].numpy(), sigma[n].item(), mode="mirror", radius=8
            )
            np.testing.assert_allclose(given[n, channel].numpy(), expected, atol=1e-12)


def test_a_crop_is_what_interpolation_makes_of_the_box() -> None:
    boxes = torch.tensor([[0, 0, 12, 12], [3, 2, 5, 7], [11, 11, 1, 1], [0, 6, 8, 6]])
    given = cut(images(4), boxes)
    for n, (top, left, high, wide) in enumerate(boxes.tolist()):
        box = images(4)[n : n + 1, :, top : top + high, left : left + wide]
        expected = functional.interpolate(box, size=(12, 12), mode="bilinear", align_corners=False)
        torch.testing.assert_close(given[n : n + 1], expected)


def test_a_bicubic_crop_agrees_away_from_the_boxs_edge() -> None:
    box = images(1, size=24)[:, :, 4:20, 5:17]
    given = cut(images(1, size=24), torch.tensor([[4, 5, 16, 12]]), mode="bicubic")
    expected = functional.interpolate(box, size=(24, 24), mode="bicubic", align_corners=False).clamp(0, 1)
    torch.testing.assert_close(given[..., 5:-5, 5:-5], expected[..., 5:-5, 5:-5])


def test_boxes_fit_and_have_the_shares_and_ratios_asked_for() -> None:
    top, left, high, wide = draw_boxes(4000, (96, 96), (0.2, 1.0), generator()).unbind(1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + high <= 96).all()
    assert (left + wide <= 96).all()
    shares = (high * wide) / 96**2
    assert 0.19 < shares.min() < 0.25
    assert shares.max() > 0.9
    assert shares.mean() == pytest.approx(0.538, abs=0.02)  # less than 0.6: large boxes fit less often
    ratios = (wide / high).log()
    assert ratios.abs().max() < np.log(4 / 3) + 0.06
    assert ratios.mean() == pytest.approx(0.0, abs=0.02)


def test_boxes_that_never_fit_become_the_whole_image() -> None:
    boxes = draw_boxes(3, (10, 40), (1.0, 1.0), generator())
    assert boxes.tolist() == [[0, 0, 10, 40]] * 3


@pytest.mark.parametrize("step", ALL, ids=lambda step: type(step).__name__)
def test_each_step_depends_on_its_seed_alone_and_stays_in_range(step: Step) -> None:
    source = images(32)
    first, again, other = (augment(source, [step], generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    assert torch.equal(source, images(32))  # nothing is changed in place


@pytest.mark.parametrize(
    ("step", "share"),
    [(Flip(), 0.5), (Greyscale(0.2), 0.2), (Solarise(0.3), 0.3), (Blur((1.0, 2.0), 1, 0.2), 0.2),
     (ColourJitter(0.8, 0.8, 0.8, 0.2, probability=0.3), 0.3)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_probability_is_that_of_each_image(step: Step, share: float) -> None:
    source = images(2000, size=4)
    changed = (augment(source, [step], generator()) != source).flatten(1).any(dim=1)
    assert changed.double().mean().item() == pytest.approx(share, abs=0.04)


def test_images_of_a_batch_are_changed_differently() -> None:
    same = images(1).expand(8, -1, -1, -1)
    changed = augment(same, [ResizedCrop((0.2, 0.9)), ColourJitter(0.4, 0.4, 0.2, 0.1)], generator())
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 8


def test_colours_change_by_the_drawn_factors_in_random_order() -> None:
    source, draws = images(12), generator(4)
    changed = augment(source, [ColourJitter(0.4, 0.3, 0.2, 0.1)], generator(4))
    bounds = [(0.6, 1.4), (0.7, 1.3), (0.8, 1.2), (-0.1, 0.1)]
    factors = [
        low + (high - low) * torch.rand(12, generator=draws, dtype=torch.float64) for low, high in bounds
    ]
    changes = list(zip((brighten, contrast, saturate, turn_hue), factors, strict=True))
    orders = set()
    for n in range(12):
        fitting = []
        for order in itertools.permutations(changes):
            image = source[n : n + 1]
            for change, factor in order:
                image = change(image, factor[n : n + 1])
            if torch.allclose(image[0], changed[n], atol=1e-9):
                fitting.append(tuple(change.__name__ for change, _ in order))
        assert fitting
        orders.add(fitting[0])
    assert len(orders) > 5


def test_autocast_does_not_coarsen_images() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = augment(images().float(), ALL, generator())
    assert torch.equal(coarse, augment(images().float(), ALL, generator()))
