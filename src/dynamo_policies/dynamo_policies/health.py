"""Whether embeddings still say anything: alarms for a collapse, not measures of quality."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Batches of 144 images of the simulated kitchen, in training mode: a random ResNet-18 has shares of 0.40 to
# 0.43 and variance ranks of 15 to 22, a DynaMo encoder that works 0.29 to 0.32 and 3.4 to 4.0, of its fixed
# camera alone 1.5 to 1.9. Runs of the shipped configs: `dynamo_ema` 5.2 to 7.5 at losses down to 0.0008, RPT
# down to 1.5, TCN-MV down to 1.7. `target: live` on toy images ends in 1.5 to 1.8 at losses below 0.001.
COLLAPSED_SHARE = 0.01  # of their length, by which embeddings differ
COLLAPSED_RANK = 1.2  # directions of their variance
POOR_RANK = 2.5  # few directions, in which a good run may still be
TRIVIAL_SHARE = 2e-4  # how near to the loss of a blind encoder is as good as there
PERFECT_LOSS = 1e-3  # the same where that loss is 0


class Spread(NamedTuple):
    """How embeddings of different images differ.

    `std`: their deviation, averaged over the features; `norm`: their mean length; `share`: their distance
    from their mean (root mean square) over that length, which does not depend on their scale.
    `effective_rank`: see there. `variance_rank`: the same of the squared singular values, the shares that
    directions have of the variance. One direction and a hundredth of its deviation in 142 others is an
    effective rank of 36 and a variance rank of 1.2, so that alarms go by the latter.
    """

    std: float
    norm: float
    share: float
    effective_rank: float
    variance_rank: float


def spread(embeddings: Tensor) -> Spread:
    """Return how `embeddings` (N, E) differ."""
    rows = embeddings.float()
    centred = rows - rows.mean(dim=0)
    values, norm = torch.linalg.svdvals(centred), rows.norm(dim=1).mean()
    distance = centred.square().sum(dim=1).mean().sqrt()
    share = distance / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    found = embedding_std(rows), norm, share, _directions(values), _directions(values.square())
    return Spread(*map(float, found))


def collapse_signs(found: Spread, *, loss: float, trivial: float | None) -> list[str]:
    """Return what shows that embeddings say nothing any more, in words; empty if nothing does.

    `trivial` is the `loss` of a blind encoder, one that gives one vector for all images, None if not known.
    """
    signs = []
    if found.share < COLLAPSED_SHARE:
        signs.append(
            f"the embeddings differ by {found.share:.2g} of their length, less than {COLLAPSED_SHARE:g}"
        )
    rank = found.variance_rank
    if rank < COLLAPSED_RANK:
        signs.append(f"their variance rank is {rank:.3g}, below {COLLAPSED_RANK:g}")
    if trivial is not None and _is_trivial(loss, rank, trivial):
        signs.append(f"the loss is {loss:.5g}, a blind encoder's is {trivial:.5g} (variance rank {rank:.3g})")
    return signs


def _is_trivial(loss: float, rank: float, trivial: float) -> bool:
    # What predicts embeddings comes near to 0 in good runs too; that is a sign where few directions are left.
    if trivial == 0.0:
        return loss <= PERFECT_LOSS and rank < POOR_RANK
    return abs(loss - trivial) <= TRIVIAL_SHARE * trivial


def embedding_std(embeddings: Tensor) -> float:
    """Return the deviation of `embeddings` (N, E) over N, averaged over the features."""
    return float(embeddings.float().std(dim=0).mean())


def effective_rank(embeddings: Tensor) -> float:
    """Return exp of the entropy of the normalised singular values of centred `embeddings` (N, E).

    Roy and Vetterli 2007, "The effective rank". 1 where all rows lie on a line, min(N - 1, E) at most.
    """
    centred = embeddings.float() - embeddings.float().mean(dim=0)
    return float(_directions(torch.linalg.svdvals(centred)))


def _directions(values: Tensor) -> Tensor:
    """Return exp of the entropy of the shares of `values` (K,), none of them negative."""
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    directions: Tensor = torch.special.entr(shares).sum().exp()
    return directions
