"""`dynamo train`: bags and an encoder in, bundle out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from dynamo_policies.actions import ActionSpace, action_space
from dynamo_policies.bags import BagInfo
from dynamo_policies.cli.command import Command
from dynamo_policies.cli.learning import (
    add_common_arguments,
    bar,
    choose_device,
    make_console,
    read_episodes,
    read_infos,
)
from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError

if TYPE_CHECKING:
    from dynamo_policies.embed import Embedder
    from dynamo_policies.encoders import EncoderConfig, LoadedEncoder
    from dynamo_policies.novelty import Novelty
    from dynamo_policies.policies import Demonstration, FittedPolicy, PolicyConfig
    from dynamo_policies.policies.base import Floats, Progress

SUCCESS = "success"
RANDOM = re.compile(r"random(:(?P<seed>\d+))?(@(?P<size>[1-9]\d*))?")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common_arguments(parser)
    parser.add_argument(
        "--encoder",
        required=True,
        metavar="PATH",
        help="folder of `dynamo pretrain`, or random, random:SEED, random:SEED@SIZE",
    )


def _run(arguments: argparse.Namespace) -> int:
    # torch takes seconds to import; `dynamo --help` need not wait for it.
    from dynamo_policies.bundle import save_bundle
    from dynamo_policies.embed import Embedder
    from dynamo_policies.policies import demonstrate, load_policy_config

    console, device = make_console(), choose_device(arguments.device)
    name, config = load_policy_config(arguments.config)
    encoder = open_encoder(arguments.encoder)
    infos = successes(read_infos(arguments.bags), console)
    contract = infos[0].contract
    if encoder.record.contract_hash not in ("", contract.hash):
        console.print("note: the encoder was pretrained on bags of another contract")
    episodes = read_episodes(infos, encoder.record.config.frames, arguments.cache, console)
    embedder = Embedder(encoder.encoder, tuple(contract.cameras), device=device)
    space = action_space(contract, relative=config.relative)
    embedded = _embed(embedder, episodes, console)
    demonstrations = [
        demonstrate(episode, features, space, config.horizon)
        for episode, features in zip(episodes, embedded, strict=True)
    ]
    tasks = tuple(task for task in contract.tasks if any(info.task == task for info in infos))
    fitted = _fit(name, config, demonstrations, tasks, space, arguments.seed or 0, device, console)
    digest = save_bundle(
        arguments.out,
        contract=contract,
        encoder=encoder,
        policy=fitted.policy,
        bag_hashes=tuple(episode.bag_hash for episode in episodes),
        metrics=fitted.metrics,
        novelty=_calibrate(episodes, embedded, len(contract.cameras), console),
    )
    console.print(f"bundle: {arguments.out} (sha256 {digest[:12]})")
    return 0


def open_encoder(text: str, like: EncoderConfig | None = None) -> LoadedEncoder:
    """Return the encoder that `text` names: a folder, `random`, `random:SEED`, or either with `@SIZE`.

    A random one sees images as `like` does, if given; SIZE is another side of them, in pixels.
    """
    from dynamo_policies.encoders import EncoderConfig, load_encoder, random_encoder

    if not is_random(text):
        return load_encoder(text)
    if (parts := RANDOM.fullmatch(text)) is None:
        raise ConfigError(
            f"encoder {text!r}: write random or random:3 (a seed), random:3@224 for images of 224 pixels"
        )
    base = like or EncoderConfig()
    size = int(parts["size"] or base.image_size)
    return random_encoder(EncoderConfig(image_size=size, crop=base.crop, seed=int(parts["seed"] or 0)))


def is_random(text: str) -> bool:
    """Return whether `text` names an encoder that was never trained, rather than a folder."""
    return re.split("[:@]", text)[0] == "random"


def successes(infos: Sequence[BagInfo], console: Console) -> list[BagInfo]:
    """Return the bags of successful episodes and say how many others there are."""
    kept = [info for info in infos if info.outcome == SUCCESS]
    if len(kept) < len(infos):
        console.print(f"{len(infos) - len(kept)} of {len(infos)} episodes are no successes and left out")
    if not kept:
        outcomes = sorted({info.outcome for info in infos})
        raise ConfigError(f"no episode with outcome {SUCCESS!r} to learn from; there are {outcomes}")
    return kept


def _embed(embedder: Embedder, episodes: Sequence[Episode], console: Console) -> list[Floats]:
    features = []
    with bar(console, "embed", len(episodes)) as advance:
        for episode in episodes:
            features.append(embedder.embed_episode(episode))
            advance(len(features), "")
    console.print(f"embedded {sum(len(one) for one in features)} ticks as {embedder.feature_size} features")
    return features


def _calibrate(
    episodes: Sequence[Episode], embedded: Sequence[Floats], views: int, console: Console
) -> Novelty | None:
    from dynamo_policies.novelty import Demonstrated, calibrate

    if len(episodes) < 2:
        console.print("one episode does not tell how much another differs: nothing will count as new")
        return None
    demonstrated = [
        Demonstrated(features, episode.images, episode.tick_ns)
        for episode, features in zip(episodes, embedded, strict=True)
    ]
    return calibrate(demonstrated, views)


def _fit(
    name: str,
    config: PolicyConfig,
    demonstrations: Sequence[Demonstration],
    tasks: tuple[str, ...],
    space: ActionSpace,
    seed: int,
    device: str,
    console: Console,
) -> FittedPolicy:
    from dynamo_policies.policies import fit_policy

    with bar(console, f"fit {name}", 1) as advance:

        def show(progress: Progress) -> None:
            advance(progress.step / progress.steps, f"loss {progress.loss:.4f}")

        fitted = fit_policy(
            name, config, demonstrations, tasks, space, seed=seed, device=device, on_progress=show
        )
    console.print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in fitted.metrics.items()))
    return fitted


COMMAND = Command("train", "fit a policy on a frozen encoder, as a bundle", _add_arguments, _run)
