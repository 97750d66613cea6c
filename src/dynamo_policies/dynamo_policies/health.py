"""Whether embeddings still say anything: alarms for a collapse, not measures of quality."""

from __future__ import annotations

import torch
from torch import Tensor

COLLAPSED_STD = 0.01  # a random ResNet-18 has about 0.1, a trained one 0.05 to 0.3
COLLAPSED_RANK = 1.5  # a random ResNet-18 has about 19, trained ones that work 5 and more
POOR_RANK = 4.0  # few directions, in which a good run may still be
TRIVIAL_SHARE = 2e-4  # how near to the loss of a blind encoder is as good as there
PERFECT_LOSS = 1e-3  # the same where that loss is 0


class CollapseWatch:
    """Counts checks in a row that show a collapse; `patience` of them in a row are one too many."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._in_a_row = 0

    def has_collapsed(self, signs: list[str]) -> bool:
        """Take the next check's `signs`, none of them if all is well; return whether it is time to stop."""
        self._in_a_row = self._in_a_row + 1 if signs else 0
        return self._in_a_row >= self._patience


def collapse_signs(std: float, rank: float, *, loss: float, trivial: float | None) -> list[str]:
    """Return what shows that embeddings say nothing any more, in words; empty if nothing does.

    `trivial` is the `loss` of a blind encoder, one that gives one vector for all images, None if not known.
    """
    signs = []
    if std < COLLAPSED_STD:
        signs.append(f"the embeddings' deviation is {std:.2g}, below {COLLAPSED_STD:g}")
    if rank < COLLAPSED_RANK:
        signs.append(f"their effective rank is {rank:.2g}, below {COLLAPSED_RANK:g}")
    if trivial is not None and _is_trivial(loss, rank, trivial):
        signs.append(
            f"the loss is {loss:.5g}, a blind encoder's is {trivial:.5g} (effective rank {rank:.2g})"
        )
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
    values = torch.linalg.svdvals(centred)
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return float(torch.special.entr(shares).sum().exp())
