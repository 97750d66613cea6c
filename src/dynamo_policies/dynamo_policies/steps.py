"""One step of a run: the losses of a batch, their gradients in every process, and gradients clipped."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dynamo_policies.feeding import Batch
from dynamo_policies.objectives import Losses, Objective
from dynamo_policies.recipes import PretrainConfig

STRIDE = 1 << 40  # between the seeds of a step's shares, past those of all steps


def learn(model: nn.Module, batch: Batch, config: PretrainConfig, step: int, team: Accelerator) -> Losses:
    """Leave the gradients of all processes' batches in `model`; return the losses, `total` being everyone's.

    The gradient is that of the mean over `accumulate` parts and processes: for losses that are means over
    segments, that of all segments at once.
    """
    done = []
    for part, piece in enumerate(batch.parts(config.accumulate)):
        with team.accumulate(model):
            share = team.process_index * config.accumulate + part
            losses = forward(model, piece, config, step, share=share)
            team.backward(losses.total)
        done.append(losses._replace(total=losses.total.detach()))
    joined = _joined(done)
    return joined._replace(total=team.reduce(joined.total, reduction="mean"))


def forward(model: nn.Module, batch: Batch, config: PretrainConfig, step: int, *, share: int = 0) -> Losses:
    """Return the losses of `batch`; chance draws from a generator of the step's and the share's own."""
    kind = batch.segments.device.type
    with (
        torch.random.fork_rng(devices=[batch.segments.device] if kind == "cuda" else []),
        torch.autocast(kind, dtype=torch.bfloat16, enabled=config.precision == "bf16"),
    ):
        torch.manual_seed(config.seed * 1_000_003 + step + share * STRIDE)
        losses: Losses = model(batch.segments, *batch.actions)
    return losses


def clip_gradients(objective: Objective, limit: float | None) -> None:
    """Clip the gradients of each network by itself to the norm `limit`, if there is one."""
    if limit is not None:
        for network in objective.networks().values():
            torch.nn.utils.clip_grad_norm_(network.parameters(), limit)


def everyones(losses: Losses, team: Accelerator) -> Losses:
    """Return `losses` with the embeddings of all processes, and the mean of their parts."""
    if team.num_processes == 1:
        return losses
    parts = {name: team.reduce(value, reduction="mean") for name, value in losses.parts.items()}
    return losses._replace(parts=parts, embeddings=team.gather(losses.embeddings))


def _joined(losses: Sequence[Losses]) -> Losses:
    """Return the losses of several parts as one: means, and all embeddings."""
    if len(losses) == 1:
        return losses[0]
    parts = {name: _mean([one.parts[name] for one in losses]) for name in losses[0].parts}
    return losses[0]._replace(
        total=_mean([one.total for one in losses]),
        parts=parts,
        embeddings=torch.cat([one.embeddings for one in losses]),
    )


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
