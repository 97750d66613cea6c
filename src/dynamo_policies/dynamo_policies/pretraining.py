"""Pretrain an encoder on segments of episodes: the whole story of a run, from top to bottom.

A step's dropout is drawn out of the seed and the step's number, and the sampler knows where it is, so that a
resumed run goes on exactly as an uninterrupted one would have. Started by `accelerate launch` or `torchrun`,
several processes share each step's segments.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from dynamo_policies.checkpoint import FILE, Progress, load_checkpoint, save_checkpoint
from dynamo_policies.curves import log_step, open_curves
from dynamo_policies.encoders import Encoder, EncoderConfig, EncoderRecord, load_encoder, save_encoder
from dynamo_policies.errors import ConfigError, DynamoError
from dynamo_policies.feeding import Batch, Sampler, feeding
from dynamo_policies.foreign import starting_encoder
from dynamo_policies.health import spread
from dynamo_policies.memory import keep_freed_memory
from dynamo_policies.nets.norms import share_batch_norms
from dynamo_policies.objectives import OBJECTIVES, Objective
from dynamo_policies.optimisers import make_optimiser
from dynamo_policies.processes import determined, join
from dynamo_policies.recipes import Recipe
from dynamo_policies.schedules import average_progress, set_learning_rates
from dynamo_policies.steps import clip_gradients, everyones, learn
from dynamo_policies.tensorfiles import write_json
from dynamo_policies.validation import Validation

METRICS_FILE = "metrics.json"
SMOOTHED_STEPS = 10  # the first and the last loss of a run are means over this many steps


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
    """One finished step, and the last loss that is known: on CUDA that of the last logged step."""

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
    project: str = "",
    validation: Sampler | None = None,
    on_step: Callable[[StepReport], None] = ignore_step,
    clock: Callable[[], float] = time.perf_counter,
) -> Finished:
    """Train an encoder by `recipe` and leave it, its metrics and TensorBoard curves in `folder`.

    With `resume` the run goes on where its last checkpoint was written; without, a folder that holds a
    checkpoint is refused. Curves go to the `project` of Weights & Biases too, if one is named; the losses of
    segments out of `validation`, without actions, are among them. Where several processes share the run, all
    of them call this; `folder` is one that all of them see.

    Raises:
        ConfigError: the settings do not go together, or segments can't be shared out evenly.
        PretrainError: the folder holds a run already, or the loss is no longer finite.
        CollapseError: the embeddings collapse, and `stop_on_collapse` is set.
        TensorFileError: the checkpoint to resume from is missing, damaged or was made with other settings.
    """
    recipe = recipe.over(sampler)
    config = recipe.run
    team = join(device, accumulate=config.accumulate)
    keep_freed_memory()
    objective = make_objective(recipe).to(team.device).train()
    optimiser = make_optimiser(objective, config)
    progress = _start(folder, objective, optimiser, recipe, sampler, resume=resume)
    model = team.prepare_model(objective)
    held_out = Validation(validation, config, team) if validation is not None else None
    pending: list[Tensor] = []  # losses that were not read yet, as that waits for the device
    logged = progress.step, progress.seconds
    with (
        determined(config.deterministic),
        feeding(sampler, config, team, actions=objective.needs_actions) as feed,
        open_curves(folder, recipe.settings, step=progress.step, project=project, team=team) as curves,
    ):
        while progress.step < config.steps:
            began = clock()
            batch = feed.next(team.device)
            set_learning_rates(optimiser, config, progress.step)
            objective.before_step(average_progress(config, progress.step))
            losses = learn(model, batch, config, progress.step, team)
            clip_gradients(objective, config.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
            objective.after_step(average_progress(config, progress.step))

            pending.append(losses.total)
            progress.step += 1
            logs = progress.step % config.log_every == 0 or progress.step == config.steps
            saves = progress.step % config.checkpoint_every == 0
            if logs or saves or not progress.losses or team.device.type == "cpu":
                progress.losses += _read(pending, progress.step)
            progress.seconds += clock() - began
            if logs:
                seconds = max(progress.seconds - logged[1], 1e-9)
                others = {"images_per_s": _images(batch, team) * (progress.step - logged[0]) / seconds}
                if (decay := objective.decay(average_progress(config, progress.step - 1))) is not None:
                    others["ema_decay"] = decay
                if held_out is not None:
                    others |= held_out.losses(objective)
                if progress.step <= config.warmup * config.steps:
                    losses = losses._replace(trivial=None)  # where many runs begin
                signs = log_step(curves, everyones(losses, team), progress.step, optimiser, others)
                if progress.checked(signs) >= config.collapse_checks and config.stop_on_collapse:
                    raise CollapseError(progress.step, signs, objective.advice)
                logged = progress.step, progress.seconds
            if saves:
                progress.sampler = feed.state
                if team.is_main_process:
                    save_checkpoint(folder, objective, optimiser, progress, recipe.settings)
            on_step(StepReport(progress.step, config.steps, progress.losses[-1]))
        return _finish(recipe, objective, feed.next(team.device), folder, origin, progress, team)


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


def _images(batch: Batch, team: Accelerator) -> int:
    """Return how many images all processes saw in a step of which `batch` was one's share."""
    return math.prod(batch.segments.shape[:3]) * int(team.num_processes)


def _read(pending: list[Tensor], step: int) -> list[float]:
    """Return the losses of the last steps before `step` and leave `pending` empty; all must be finite."""
    losses: list[float] = torch.stack(pending).tolist()
    for number, loss in enumerate(losses, start=step - len(losses)):
        if not math.isfinite(loss):
            raise PretrainError(f"the loss is {loss} at step {number}; a lower learning_rate may help")
    pending.clear()
    return losses


def _finish(
    recipe: Recipe,
    objective: Objective,
    batch: Batch,
    folder: Path,
    origin: Origin,
    progress: Progress,
    team: Accelerator,
) -> Finished:
    config = recipe.run
    metrics = {
        "loss_first": float(np.mean(progress.losses[:SMOOTHED_STEPS])),
        "loss_last": float(np.mean(progress.losses[-SMOOTHED_STEPS:])),
        **_health(objective.encoder, batch.segments),
        "steps": progress.step,
        "seconds": progress.seconds,
        "images_per_s": progress.step * _images(batch, team) / max(progress.seconds, 1e-9),
    }
    record = EncoderRecord(
        config=objective.encoder.config,
        objective=config.objective,
        settings=recipe.settings,
        metrics=metrics,
        contract_hash=origin.contract_hash,
        bag_hashes=origin.bag_hashes,
    )
    if team.is_main_process:
        save_encoder(folder, objective.encoder, record)
        write_json(folder / METRICS_FILE, metrics)
    team.wait_for_everyone()
    return Finished(load_encoder(folder).record, metrics)


@torch.inference_mode()
def _health(encoder: Encoder, segments: Tensor) -> dict[str, float]:
    """Return deviation and rank of embeddings as a policy will see them: in evaluation mode."""
    found = spread(encoder.eval()(segments.to(encoder.mean.device)).flatten(0, 2))
    return {
        "embedding_std": found.std,
        "effective_rank": found.effective_rank,
        "variance_rank": found.variance_rank,
    }
