from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dynamo_policies.checkpoint import Progress
from dynamo_policies.health import Spread, collapse_signs, effective_rank, spread

HEALTHY = Spread(std=0.1, norm=9.0, share=0.3, effective_rank=40.0, variance_rank=5.5)
ROWS, FEATURES = 144, 512


def spread_like(**changes: Any) -> Spread:
    return HEALTHY._replace(**changes)


def noise(scale: float, seed: int = 0) -> Tensor:
    return scale * torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(seed))


def signs_of(embeddings: Tensor) -> list[str]:
    return collapse_signs(spread(embeddings), loss=0.3, trivial=0.0)


def test_healthy_embeddings_show_no_sign() -> None:
    assert collapse_signs(HEALTHY, loss=0.0005, trivial=0.0) == []
    assert collapse_signs(spread_like(variance_rank=2.0), loss=0.02, trivial=0.0) == []
    assert collapse_signs(HEALTHY, loss=4.9, trivial=None) == []
    assert signs_of(5.0 + noise(1.0)) == []


@pytest.mark.parametrize(
    ("changes", "loss", "says"),
    [
        ({"share": 0.002}, 0.3, "differ by 0.002 of their length, less than 0.01"),
        ({"variance_rank": 1.1}, 0.3, "variance rank is 1.1, below 1.2"),
        ({}, 0.20001, "the loss is 0.20001, a blind encoder's is 0.2"),
    ],
)
def test_each_sign_is_named(changes: dict[str, float], loss: float, says: str) -> None:
    signs = collapse_signs(spread_like(**changes), loss=loss, trivial=0.2)
    assert len(signs) == 1
    assert says in signs[0]


def test_a_prediction_that_is_perfect_is_a_sign_where_few_directions_are_left() -> None:
    (sign,) = collapse_signs(spread_like(variance_rank=1.7), loss=5e-4, trivial=0.0)
    assert "blind encoder's is 0 (variance rank 1.7)" in sign


def test_one_direction_under_noise_is_a_collapse() -> None:
    # A deviation of 1 in one direction, of a hundredth in the 142 others that 144 images can show.
    directions = torch.linalg.qr(noise(1.0))[0][:, :143]
    directions = torch.linalg.qr(directions - directions.mean(dim=0))[0]
    deviations = torch.tensor([1.0] + 142 * [0.01])
    embeddings = 3.0 + (directions * deviations * ROWS**0.5) @ torch.eye(143, FEATURES)
    assert effective_rank(embeddings) == pytest.approx(36.0, abs=1.0)
    assert "their variance rank is 1.15, below 1.2" in signs_of(embeddings)[0]


def test_parallel_embeddings_of_all_lengths_are_a_collapse() -> None:
    lengths = torch.linspace(0.5, 1.5, ROWS)[:, None]
    (sign,) = signs_of(lengths * torch.rand(FEATURES, generator=torch.Generator().manual_seed(1)))
    assert "variance rank is 1, below 1.2" in sign


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_scale_of_embeddings_is_no_sign(scale: float) -> None:
    healthy, blind = 1.0 + noise(0.3), 1.0 + noise(0.005)
    assert signs_of(scale * healthy) == []
    assert ["of their length" in sign for sign in signs_of(scale * blind)] == [True]


def test_only_signs_in_a_row_count() -> None:
    progress = Progress()
    pattern = [True, True, False, True, True, True]
    assert [progress.checked(["sign"] if bad else []) for bad in pattern] == [1, 2, 0, 1, 2, 3]
