"""The terms of losses over windows of embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from dynamo_policies.across import covariance
from dynamo_policies.errors import ConfigError


def cut_windows(embeddings: Tensor, window: int) -> Tensor:
    """Return all windows of `embeddings` (B, T, V, E) per view, (B * (T - window + 1) * V, window, E)."""
    if embeddings.shape[1] < window:
        raise ConfigError(f"segments of {embeddings.shape[1]} ticks are shorter than the window of {window}")
    unfolded = embeddings.unfold(1, window, 1)  # (B, T - window + 1, V, E, window)
    return unfolded.movedim(-1, -2).flatten(0, 2)


def cosine_distance(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return one less the mean cosine between the vectors of `predicted` and `targets`, both (..., E)."""
    return 1.0 - functional.cosine_similarity(exact(predicted), exact(targets), dim=-1).mean()


def covariance_paper(embeddings: Tensor) -> Tensor:
    """Return the summed squared off-diagonal covariance of `embeddings` (N, E) over E, as in the paper.

    Of the embeddings of all processes, here and in `covariance_released`.
    """
    return _off_diagonal_squares(embeddings).sum() / embeddings.shape[1]


def covariance_released(embeddings: Tensor) -> Tensor:
    """Return the mean squared off-diagonal covariance of `embeddings` (N, E), as in the released code."""
    features = embeddings.shape[1]
    return _off_diagonal_squares(embeddings).sum() / (features * (features - 1))


COVARIANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "paper": covariance_paper,
    "released": covariance_released,
}


def exact(x: Tensor) -> Tensor:
    """Return `x` in at least float32."""
    # bfloat16 sums of a few thousand values lose the small terms; float64 stays as it is.
    return x if x.dtype == torch.float64 else x.float()


def _off_diagonal_squares(embeddings: Tensor) -> Tensor:
    found = covariance(exact(embeddings))
    return (found - found.diag().diag()).square()
