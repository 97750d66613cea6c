"""Batch norms that see the batches of all processes of a run."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn

from dynamo_policies.across import processes, total


def share_batch_norms(module: nn.Module) -> None:
    """Let the batch norms inside `module` see what all processes see, where several share a run."""
    if processes() == 1:
        return
    if torch.distributed.get_backend() == "nccl":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]  # torch's stubs
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(parent, name, SharedBatchNorm.of(child))


class SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm over what all processes hold, equally much each: what torch has for CUDA alone."""

    @classmethod
    def of(cls, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> SharedBatchNorm:
        """Return a norm that shares its weights and statistics with `norm`."""
        made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine)
        made.weight, made.bias = norm.weight, norm.bias
        made.running_mean, made.running_var = norm.running_mean, norm.running_var
        made.num_batches_tracked = norm.num_batches_tracked
        return made.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (N, C, ...) normalised."""
        if not self.training:
            return super().forward(x)
        dims = [dim for dim in range(x.ndim) if dim != 1]
        count = processes() * (x.numel() // x.shape[1])
        exact = x if x.dtype == torch.float64 else x.float()
        mean = total(exact.sum(dims)) / count
        centred = exact - _along(mean, x)
        variance = total(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scaled = centred * _along((variance + self.eps).rsqrt(), x)
        if self.affine:
            scaled = scaled * _along(self.weight, x) + _along(self.bias, x)
        return scaled.to(x.dtype)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  # torch's name
        """Take any number of dimensions."""

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)


def _along(values: Tensor, x: Tensor) -> Tensor:
    """Return `values` (C,) so that they broadcast over `x` (N, C, ...)."""
    return values.reshape(1, -1, *([1] * (x.ndim - 2)))
