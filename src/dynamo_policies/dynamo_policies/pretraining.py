"""Pretrain an encoder on segments of episodes: the whole story of a run, from top to bottom.

A step's dropout is drawn out of the seed and the step's number, and the sampler knows where it is, so that a
resumed run goes on exactly as an uninterrupted one would have.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from dynamo_policies.checkpoint import FILE, Progress, load_checkpoint, save_checkpoint
from dynamo_policies.encoders import Encoder, EncoderConfig, EncoderRecord, save_encoder
from dynamo_policies.errors import ConfigError, DynamoError
from dynamo_policies.foreign import starting_encoder
from dynamo_policies.health import CollapseWatch, collapse_signs, effective_rank, embedding_std
from dynamo_policies.nets.norms import share_batch_norms
from dynamo_policies.objectives import OBJECTIVES, Losses, Objective
from dynamo_policies.optimisers import make_optimiser
from dynamo_policies.recipes import PretrainConfig, Recipe
from dynamo_policies.schedules import average_progress, set_learning_rates
from dynamo_policies.tensorfiles import write_json

logger = logging.getLogger(__name__)
METRICS_FILE = "metrics.json"
SMOOTHED_STEPS = 10  # the first and the last loss of a run are means over this many steps


class Sampler(Protocol):
    """Where segments come from; `clips.SegmentSampler` is one."""

    def __len__(self) -> int:
        """Return how many different segments there are."""

    def sample(self, count: int) -> npt.NDArray[np.uint8]:
        """Return the next `count` segments, (count, T, V, H, W, 3)."""

    def sample_with_actions(self, count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Return the next `count` segments and the actions of their ticks, (count, T, A)."""

    def state(self) -> dict[str, int]:
        """Return where the sampler is."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was taken."""


class PretrainError(DynamoError):
    """A run can't be started or went wrong."""


class CollapseError(PretrainError):
    """The encoder says the same of all images, so that going on is of no use."""

    def __init__(self, step: int, signs: list[str], advice: str) -> None:
        super().__init__(
            f"stopped at step {step}, the encoder collapses: {'; '.join(signs)}. Advice: {advice}. "
            "stop_on_collapse: false goes on regardless"
        )


class Origin(NamedTuple):
    """What a run learns from."""

    contract_hash: str
    bag_hashes: tuple[str, ...]


class StepReport(NamedTuple):
    """One finished step."""

    step: int
    steps: int
    loss: float


class Finished(NamedTuple):
    """What a run has left behind."""

    record: EncoderRecord
    metrics: dict[str, float]


def ignore_step(report: StepReport) -> None:
    """Do nothing with `report`."""


def pretrain(
    recipe: Recipe,
    sampler: Sampler,
    folder: Path,
    *,
    origin: Origin,
    device: str = "cpu",
    resume: bool = False,
    on_step: Callable[[StepReport], None] = ignore_step,
    clock: Callable[[], float] = time.perf_counter,
) -> Finished:
    """Train an encoder by `recipe` and leave it, its metrics and TensorBoard curves in `folder`.

    With `resume` the run goes on where its last checkpoint was written; without, a folder that holds a
    checkpoint is refused.

    Raises:
        PretrainError: the folder holds a run already, or the loss is no longer finite.
        CollapseError: the embeddings collapse, and `stop_on_collapse` is set.
        TensorFileError: the checkpoint to resume from is missing, damaged or was made with other settings.
    """
    recipe = recipe.over(sampler)
    config = recipe.run
    objective = make_objective(recipe).to(device).train()
    optimiser = make_optimiser(objective, config)
    watch = CollapseWatch(config.collapse_checks)
    progress = _start(folder, objective, optimiser, recipe, sampler, resume=resume)
    with SummaryWriter(str(folder / "tensorboard"), purge_step=progress.step) as writer:
        while progress.step < config.steps:
            began = clock()
            segments, *actions = (part.to(device) for part in draw(sampler, objective, config.segments))
            set_learning_rates(optimiser, config, progress.step)
            objective.before_step(average_progress(config, progress.step))
            losses = forward(objective, segments, config, progress.step, *actions)
            losses.total.backward()  # type: ignore[no-untyped-call]  # torch's stubs
            clip_gradients(objective, config.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
            objective.after_step(average_progress(config, progress.step))

            progress.losses.append(_finite(losses.total.item(), progress.step))
            progress.step += 1
            progress.seconds += clock() - began
            if progress.step % config.log_every == 0 or progress.step == config.steps:
                rate = segments.shape[:3].numel() / (clock() - began)
                if progress.step <= config.warmup * config.steps:
                    losses = losses._replace(trivial=None)  # where many runs begin
                signs = _log(writer, losses, progress.step, optimiser, rate)
                if watch.has_collapsed(signs) and config.stop_on_collapse:
                    raise CollapseError(progress.step, signs, objective.advice)
            if progress.step % config.checkpoint_every == 0:
                progress.sampler = sampler.state()
                save_checkpoint(folder, objective, optimiser, progress, recipe.settings)
            on_step(StepReport(progress.step, config.steps, progress.losses[-1]))
    return _finish(recipe, objective, sampler, folder, origin, progress)


def make_objective(recipe: Recipe) -> Objective:
    """Return the objective and its encoder with the weights that the seed draws."""
    config = recipe.run
    if recipe.objective.ticks > config.segment_length:
        raise ConfigError(
            f"window {recipe.objective.ticks} is longer than segments of {config.segment_length}"
        )
    first = EncoderConfig(
        kind=config.encoder,
        image_size=config.image_size,
        crop=config.crop,
        channels=config.channels,
        seed=config.seed,
    )
    encoder = starting_encoder(first, config.init) if config.init else Encoder(first)
    random = torch.Generator().manual_seed(config.seed + 1)  # not the encoder's numbers over again
    objective = OBJECTIVES[config.objective][1](recipe.objective, encoder, random)
    if config.sync_batch_norm:
        share_batch_norms(objective)
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
    if config.compile:
        objective.compile()
    return objective


def draw(sampler: Sampler, objective: Objective, count: int) -> tuple[Tensor, ...]:
    """Return the next `count` segments, and the actions of their ticks where the objective needs them."""
    if objective.needs_actions:
        segments, actions = sampler.sample_with_actions(count)
        return torch.from_numpy(segments), torch.from_numpy(actions)
    return (torch.from_numpy(sampler.sample(count)),)


def forward(
    objective: Objective, segments: Tensor, config: PretrainConfig, step: int, *actions: Tensor
) -> Losses:
    """Return the losses of `segments`; dropout draws from a generator of the step's own."""
    kind = segments.device.type
    with (
        torch.random.fork_rng(devices=[segments.device] if kind == "cuda" else []),
        torch.autocast(kind, dtype=torch.bfloat16, enabled=config.precision == "bf16"),
    ):
        torch.manual_seed(config.seed * 1_000_003 + step)
        losses: Losses = objective(segments, *actions)
    return losses


def clip_gradients(objective: Objective, limit: float | None) -> None:
    """Clip the gradients of each network by itself to the norm `limit`, if there is one."""
    if limit is not None:
        for network in objective.networks().values():
            torch.nn.utils.clip_grad_norm_(network.parameters(), limit)


def _start(
    folder: Path,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    sampler: Sampler,
    *,
    resume: bool,
) -> Progress:
    if resume:
        progress = load_checkpoint(folder, objective, optimiser, recipe.settings)
        sampler.restore(progress.sampler)
        return progress
    if (folder / FILE).exists() or (folder / METRICS_FILE).exists():
        raise PretrainError(f"{folder} holds a run already; resume it or name another folder")
    return Progress()


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise PretrainError(f"the loss is {loss} at step {step}; a lower learning_rate may help")
    return loss


def _log(
    writer: SummaryWriter, losses: Losses, step: int, optimiser: torch.optim.Optimizer, images_per_s: float
) -> list[str]:
    """Write the curves of `step` and return the signs of a collapse, if there are any."""
    std, rank = embedding_std(losses.embeddings), effective_rank(losses.embeddings)
    values = {name: float(value) for name, value in losses.parts.items()}
    values |= {"embedding_std": std, "effective_rank": rank}
    values |= {"images_per_s": images_per_s}
    values |= {f"learning_rate/{group['name']}": group["lr"] for group in optimiser.param_groups}
    for name, value in values.items():
        writer.add_scalar(name, value, step)
    signs = collapse_signs(std, rank, loss=losses.total.item(), trivial=losses.trivial)
    if signs:
        logger.warning("step %d: the encoder may collapse: %s", step, "; ".join(signs))
    return signs


def _finish(
    recipe: Recipe,
    objective: Objective,
    sampler: Sampler,
    folder: Path,
    origin: Origin,
    progress: Progress,
) -> Finished:
    config = recipe.run
    segments = torch.from_numpy(sampler.sample(config.segments))
    metrics = {
        "loss_first": float(np.mean(progress.losses[:SMOOTHED_STEPS])),
        "loss_last": float(np.mean(progress.losses[-SMOOTHED_STEPS:])),
        **_health(objective.encoder, segments),
        "steps": progress.step,
        "seconds": progress.seconds,
        "images_per_s": progress.step * segments.shape[:3].numel() / max(progress.seconds, 1e-9),
    }
    record = EncoderRecord(
        config=objective.encoder.config,
        objective=config.objective,
        settings=recipe.settings,
        metrics=metrics,
        contract_hash=origin.contract_hash,
        bag_hashes=origin.bag_hashes,
    )
    record = save_encoder(folder, objective.encoder, record)
    write_json(folder / METRICS_FILE, metrics)
    return Finished(record, metrics)


@torch.inference_mode()
def _health(encoder: Encoder, segments: Tensor) -> dict[str, float]:
    """Return deviation and rank of embeddings as a policy will see them: in evaluation mode."""
    embeddings = encoder.eval()(segments.to(encoder.mean.device)).flatten(0, 2)
    return {"embedding_std": embedding_std(embeddings), "effective_rank": effective_rank(embeddings)}
