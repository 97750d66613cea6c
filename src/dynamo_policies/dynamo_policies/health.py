"""Whether embeddings still say anything: alarms for a collapse, not measures of quality."""

from __future__ import annotations

import torch
from torch import Tensor

COLLAPSED_STD = 0.01  # a random ResNet-18 has about 0.1, a trained one 0.05 to 0.3


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
