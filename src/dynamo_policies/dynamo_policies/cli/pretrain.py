"""`dynamo pretrain`: bags in, encoder out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from dynamo_policies.cli.command import Command
from dynamo_policies.cli.learning import (
    add_common_arguments,
    bar,
    choose_device,
    make_console,
    read_episodes,
    read_infos,
)
from dynamo_policies.clips import SegmentSampler, longest_run
from dynamo_policies.decode import FrameSettings
from dynamo_policies.episodes import Episode

if TYPE_CHECKING:
    from dynamo_policies.recipes import Recipe

PRESET_HELP = "paper or released, over what the config says; released counts in epochs, so give --epochs too"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on where the run in --out was interrupted")
    parser.add_argument("--steps", type=int, metavar="N", help="optimiser steps, instead of the config's")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="the budget in epochs, instead of the config's"
    )
    parser.add_argument("--preset", metavar="NAME", help=PRESET_HELP)
    parser.add_argument("--wandb", metavar="PROJECT", default="", help="curves to Weights & Biases as well")
    parser.add_argument("--init", metavar="PATH", help="encoder or checkpoint to start from")


def _run(arguments: argparse.Namespace) -> int:
    # torch takes seconds to import; `dynamo --help` need not wait for it.
    from dynamo_policies.pretraining import Origin, StepReport, pretrain
    from dynamo_policies.processes import leave, one_first
    from dynamo_policies.recipes import load_recipe
    from dynamo_policies.splits import held_out_episodes, training_episodes

    given = {name: getattr(arguments, name) for name in ("steps", "epochs", "seed", "init")}
    changes = {name: value for name, value in given.items() if value is not None}
    recipe = load_recipe(arguments.config, preset=arguments.preset, **changes)
    config, device = recipe.run, choose_device(arguments.device)
    infos = read_infos(arguments.bags)
    frames = FrameSettings(size=config.image_size, crop=config.crop)
    with one_first(device) as speaks:
        console = make_console() if speaks else Console(quiet=True)
        episodes = read_episodes(infos, frames, arguments.cache, console)
    held_out = held_out_episodes(episodes, config.train_share, config.split_seed)
    episodes = training_episodes(episodes, config.train_share, config.split_seed)
    sampler = _make_sampler(recipe, episodes)
    recipe = recipe.over(sampler)
    config = recipe.run
    origin = Origin(infos[0].contract.hash, tuple(episode.bag_hash for episode in episodes))
    console.print(f"{config.objective}: {config.steps} steps on {device}, {len(sampler)} segments")
    with bar(console, "pretrain", config.steps) as advance:

        def show(report: StepReport) -> None:
            advance(report.step, f"loss {report.loss:.4f}")

        finished = pretrain(
            recipe,
            sampler,
            arguments.out,
            origin=origin,
            device=device,
            resume=arguments.resume,
            project=arguments.wandb,
            validation=_make_validation(recipe, held_out),
            on_step=show,
        )
    leave()
    console.print(_summary(finished.metrics))
    console.print(f"encoder: {arguments.out}")
    return 0


def _make_sampler(recipe: Recipe, episodes: Sequence[Episode]) -> SegmentSampler:
    from dynamo_policies.labels import action_labels
    from dynamo_policies.objectives.labelled import LabelledConfig

    config, objective = recipe.run, recipe.objective
    actions = []
    if isinstance(objective, LabelledConfig):
        actions = action_labels(episodes, relative=objective.relative, size=objective.action_size)
    return SegmentSampler(
        episodes, config.segment_length, config.seed, unused=config.unused_ticks, actions=actions
    )


def _make_validation(recipe: Recipe, episodes: Sequence[Episode]) -> SegmentSampler | None:
    """Return the sampler of those `episodes` that are long enough; none where the objective needs actions."""
    from dynamo_policies.objectives.labelled import LabelledConfig

    config = recipe.run
    long = [one for one in episodes if longest_run(one) >= config.segment_length + config.unused_ticks]
    if not long or isinstance(recipe.objective, LabelledConfig):
        return None
    return SegmentSampler(long, config.segment_length, config.split_seed, unused=config.unused_ticks)


def _summary(metrics: dict[str, float]) -> str:
    return (
        f"loss {metrics['loss_first']:.4f} -> {metrics['loss_last']:.4f} in {metrics['seconds']:.0f} s "
        f"({metrics['images_per_s']:.0f} images/s); embeddings: deviation {metrics['embedding_std']:.3f}, "
        f"effective rank {metrics['effective_rank']:.1f}"
    )


COMMAND = Command("pretrain", "train an encoder on bags", _add_arguments, _run)
