"""Batch norms that see the batches of all processes of a run."""

from __future__ import annotations

import torch.distributed
from torch import nn


def share_batch_norms(module: nn.Module) -> None:
    """Let the batch norms inside `module` see what all processes see, where several share a run on CUDA.

    Elsewhere nothing changes: alone, such a norm is a plain batch norm, and torch has it for CUDA only.
    """
    if _processes_on_cuda() > 1:
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]  # torch's stubs


def _processes_on_cuda() -> int:
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 1
    return torch.distributed.get_world_size() if torch.distributed.get_backend() == "nccl" else 1
