"""`dynamo pretrain` and `dynamo train` on real bags, from recording to bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import foreign_factory
from bag_factory import write_episode_bag
from dynamo_policies.bundle import load_bundle
from dynamo_policies.cache import FrameCache
from dynamo_policies.cli import encoder as encoder_command
from dynamo_policies.cli import pretrain, train
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_policies.encoders import EncoderConfig, load_encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.nets.vit import VITS, VitSizes

COMMANDS = (pretrain.COMMAND, train.COMMAND)
PRETRAIN = """
image_size: 32
channels: 8
segments: 2
segment_length: 6
steps: 4
checkpoint_every: 2
window: 3
layers: 1
heads: 2
width: 8
"""
MAE = """
objective: mae
encoder: vit_t8
image_size: 32
segment_length: 1
segments: 4
steps: 4
decoder_width: 16
decoder_layers: 1
decoder_heads: 2
"""
POLICY = "policy: mlp\nwidth: 16\nsteps: 5\nhorizon: 4\n"


@pytest.fixture(scope="module")
def bags(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demonstrations")
    for number, (task, outcome) in enumerate(
        [("put_yogurt", "success"), ("fetch_yogurt", "success"), ("put_yogurt", "failure")]
    ):
        write_episode_bag(folder / f"episode_{number}", contract, seconds=1.5, task=task, outcome=outcome)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def run(folder: Path, cache: Path, command: str, settings: str, *arguments: str | Path) -> int:
    config = folder / f"{command}.yaml"
    config.write_text(settings)
    given = (command, "--config", config, "--cache", cache, *arguments, "--device", "cpu")
    return main([str(argument) for argument in given], COMMANDS)


def test_bags_become_an_encoder_and_then_a_bundle(
    tmp_path: Path, bags: Path, cache: Path, contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder, bundle = tmp_path / "encoder", tmp_path / "bundle"
    assert run(tmp_path, cache, "pretrain", PRETRAIN, "--bags", bags, "--out", encoder) == 0
    record = load_encoder(encoder).record
    assert record.contract_hash == contract.hash
    assert len(record.bag_hashes) == 3  # failures show how things move as well as successes do
    assert run(tmp_path, cache, "train", POLICY, "--bags", bags, "--encoder", encoder, "--out", bundle) == 0
    loaded = load_bundle(bundle)
    assert loaded.tasks == ("put_yogurt", "fetch_yogurt")
    assert loaded.manifest.encoder == record
    assert len(loaded.manifest.bag_hashes) == 2
    said = capsys.readouterr().out
    assert "3 episodes" in said
    assert "1 of 3 episodes are no successes and left out" in said
    assert f"bundle: {bundle}" in said.replace("\n", "")


def test_a_vision_transformer_learns_from_bags_and_is_deployed(
    tmp_path: Path, bags: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VITS, "vit_t8", VitSizes(patch=8, width=16, layers=2, heads=2))
    encoder, bundle = tmp_path / "encoder", tmp_path / "bundle"
    assert run(tmp_path, cache, "pretrain", MAE, "--bags", bags, "--out", encoder) == 0
    assert run(tmp_path, cache, "train", POLICY, "--bags", bags, "--encoder", encoder, "--out", bundle) == 0
    loaded = load_bundle(bundle)
    assert loaded.manifest.encoder.objective == "mae"
    images = {name: np.zeros((32, 32, 3), np.uint8) for name in loaded.embedder.cameras}
    features = loaded.embedder.embed(images)
    assert features.shape == (2 * 16,)
    assert np.isfinite(loaded.policy.act(features[None], np.zeros((1, 8), np.float32), "put_yogurt")).all()


def test_the_bundle_embeds_as_training_did(tmp_path: Path, bags: Path, cache: Path) -> None:
    out = tmp_path / "bundle"
    assert run(tmp_path, cache, "train", POLICY, "--bags", bags, "--encoder", "random:3", "--out", out) == 0
    bundle = load_bundle(out)
    episode = FrameCache(cache).episode(bags / "episode_0", bundle.frames)
    features = bundle.embedder.embed_episode(episode)
    live = bundle.embedder.embed({name: stack[4] for name, stack in episode.images.items()})
    np.testing.assert_allclose(features[4], live, rtol=1e-4, atol=1e-4)
    chunk = bundle.policy.act(features[4:5], episode.state[4:5], "put_yogurt")
    assert chunk.shape == (4, 7)
    assert np.isfinite(chunk).all()


def test_steps_and_seed_can_be_given(tmp_path: Path, bags: Path, cache: Path) -> None:
    arguments = ("--bags", bags, "--out", tmp_path / "run", "--steps", "2", "--seed", "7")
    assert run(tmp_path, cache, "pretrain", PRETRAIN, *arguments) == 0
    record = load_encoder(tmp_path / "run").record
    assert record.metrics["steps"] == 2
    assert record.config.seed == 7


def test_episodes_that_are_held_out_give_a_curve_and_are_not_learned_from(
    tmp_path: Path, bags: Path, cache: Path
) -> None:
    settings = PRETRAIN + "train_share: 0.7\nlog_every: 1\n"
    out = tmp_path / "run"
    assert run(tmp_path, cache, "pretrain", settings, "--bags", bags, "--out", out) == 0
    assert len(load_encoder(out).record.bag_hashes) == 2
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    assert len(events.Scalars("validation/loss")) == 4


def test_a_finished_run_is_resumed_by_reading_it(tmp_path: Path, bags: Path, cache: Path) -> None:
    arguments = ("--bags", bags, "--out", tmp_path / "run")
    assert run(tmp_path, cache, "pretrain", PRETRAIN, *arguments) == 0
    before = load_encoder(tmp_path / "run").record.weights_sha256
    assert run(tmp_path, cache, "pretrain", PRETRAIN, *arguments, "--resume") == 0
    assert load_encoder(tmp_path / "run").record.weights_sha256 == before


def test_bags_of_two_contracts_are_refused(
    tmp_path: Path, bags: Path, cache: Path, contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(contract, settle_ms=contract.settle_ms + 1)
    write_episode_bag(tmp_path / "other" / "episode_9", other, seconds=1.0)
    arguments = ("--bags", bags, tmp_path / "other", "--out", tmp_path / "run")
    assert run(tmp_path, cache, "pretrain", PRETRAIN, *arguments) == 2
    assert "the contracts differ in settle_ms: 26.0 instead of 25.0" in capsys.readouterr().err


def test_failures_alone_are_nothing_to_learn_from(
    tmp_path: Path, bags: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--bags", bags / "episode_2", "--encoder", "random", "--out", tmp_path / "bundle")
    assert run(tmp_path, cache, "train", POLICY, *arguments) == 2
    assert "no episode with outcome 'success' to learn from; there are ['failure']" in capsys.readouterr().err


def test_a_random_encoder_needs_a_number_as_its_seed() -> None:
    assert train.open_encoder("random").record.config.seed == 0
    assert train.open_encoder("random:12").record.config.seed == 12
    for text in ("random:x", "random:3@", "random@0", "random:3@96px"):
        with pytest.raises(ConfigError, match=rf"encoder '{text}': write random or random:3"):
            train.open_encoder(text)


def test_a_random_encoder_sees_images_as_another_one_or_of_a_size_of_its_own() -> None:
    like = EncoderConfig(image_size=128, crop="none", channels=4, seed=9)
    assert train.open_encoder("random:2", like).record.config == EncoderConfig(
        image_size=128, crop="none", seed=2
    )
    sizes = {
        text: train.open_encoder(text).record.config.image_size for text in ("random@224", "random:2@48")
    }
    assert sizes == {"random@224": 224, "random:2@48": 48}
    assert train.open_encoder("random").record.config.image_size == 96


def test_an_imported_encoder_trains_and_is_deployed(tmp_path: Path, bags: Path, cache: Path) -> None:
    file = foreign_factory.save(tmp_path / "vc1.pth", foreign_factory.vc1())
    encoder, bundle = tmp_path / "encoder", tmp_path / "bundle"
    arguments = ["encoder", "import", file, "--kind", "vc1", "--image-size", "48", "--out", encoder]
    assert main([str(argument) for argument in arguments], [encoder_command.COMMAND]) == 0
    assert run(tmp_path, cache, "train", POLICY, "--bags", bags, "--encoder", encoder, "--out", bundle) == 0
    loaded = load_bundle(bundle)
    assert loaded.manifest.encoder.objective == "vc1"
    assert loaded.frames.size == 48
    episode = FrameCache(cache).episode(bags / "episode_0", loaded.frames)
    features = loaded.embedder.embed({name: stack[4] for name, stack in episode.images.items()})
    direct = load_encoder(encoder).encoder(
        torch.from_numpy(np.stack([s[4] for s in episode.images.values()]))
    )
    np.testing.assert_allclose(features, direct.flatten().numpy(), rtol=1e-4, atol=1e-4)


def test_actions_of_bags_are_learned_from_by_the_command(tmp_path: Path, bags: Path, cache: Path) -> None:
    arguments = ("--bags", bags, "--out", tmp_path / "run")
    text = PRETRAIN + "objective: inverse_dynamics\ntrain_share: 0.7\n"
    assert run(tmp_path, cache, "pretrain", text, *arguments) == 0
    record = load_encoder(tmp_path / "run").record
    assert record.objective == "inverse_dynamics"
    assert len(record.bag_hashes) == 2  # of 3 bags; the rest was never seen


def test_a_preset_and_epochs_can_be_given(tmp_path: Path, bags: Path, cache: Path) -> None:
    arguments = ("--bags", bags, "--out", tmp_path / "run", "--preset", "released", "--epochs", "1")
    assert run(tmp_path, cache, "pretrain", PRETRAIN, *arguments) == 0
    settings = load_encoder(tmp_path / "run").record.settings
    assert settings["schedule_every"] == "epoch"
    assert settings["steps"] > settings["epochs"] == 1
