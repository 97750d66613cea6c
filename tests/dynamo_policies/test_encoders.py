from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dynamo_policies.encoders import (
    Encoder,
    EncoderConfig,
    EncoderRecord,
    load_encoder,
    random_encoder,
    save_encoder,
)
from dynamo_policies.errors import ConfigError
from dynamo_policies.tensorfiles import TensorFileError, file_hash, write_tensors

CONFIG = EncoderConfig(image_size=32, channels=8, seed=3)


def images(*leading: int) -> torch.Tensor:
    shape = (*leading, 32, 32, 3)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_leading_axes_are_kept() -> None:
    encoder = random_encoder(CONFIG).encoder
    assert encoder(images(2, 3, 2)).shape == (2, 3, 2, 64)
    assert encoder(images()).shape == (64,)


def test_bytes_and_fractions_give_the_same_features() -> None:
    encoder = random_encoder(CONFIG).encoder
    torch.testing.assert_close(encoder(images(4)), encoder(images(4).float() / 255.0))


def test_normalisation_happens_once_inside() -> None:
    encoder = random_encoder(CONFIG).encoder
    normalised = (images(2).float() / 255.0 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(encoder(images(2)), encoder.trunk(normalised.permute(0, 3, 1, 2)))


def test_one_seed_draws_one_encoder_and_leaves_the_global_generator_out() -> None:
    torch.manual_seed(0)
    first = random_encoder(CONFIG).encoder.trunk.state_dict()
    torch.manual_seed(1)
    second = random_encoder(CONFIG).encoder.trunk.state_dict()
    other = random_encoder(EncoderConfig(image_size=32, channels=8, seed=4)).encoder.trunk.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_a_saved_encoder_comes_back_frozen_and_equal(tmp_path: Path) -> None:
    encoder = Encoder(CONFIG)
    encoder.train()(images(8))  # moves the running statistics of the batch norms
    written = save_encoder(
        tmp_path, encoder, EncoderRecord(config=CONFIG, objective="dynamo", metrics={"loss": 0.5})
    )
    loaded = load_encoder(tmp_path)
    assert loaded.record == written
    assert not loaded.encoder.training
    assert not any(parameter.requires_grad for parameter in loaded.encoder.parameters())
    torch.testing.assert_close(loaded.encoder(images(2)), encoder.eval()(images(2)))


def test_an_encoder_is_found_by_its_weights_file(tmp_path: Path) -> None:
    save_encoder(tmp_path, Encoder(CONFIG), EncoderRecord(config=CONFIG))
    assert load_encoder(tmp_path / "encoder.safetensors").record.config == CONFIG


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, Encoder(CONFIG), EncoderRecord(config=CONFIG))
    write_tensors(
        tmp_path / "encoder.safetensors", Encoder(EncoderConfig(channels=8, seed=9)).trunk.state_dict()
    )
    with pytest.raises(TensorFileError, match=r"has sha256 .* where encoder\.json says"):
        load_encoder(tmp_path)


def test_missing_and_unknown_weights_are_both_named(tmp_path: Path) -> None:
    save_encoder(tmp_path, Encoder(CONFIG), EncoderRecord(config=CONFIG))
    weights = Encoder(CONFIG).trunk.state_dict()
    weights["fc.weight"] = weights.pop("conv1.weight")
    write_tensors(tmp_path / "encoder.safetensors", weights)
    record = json.loads((tmp_path / "encoder.json").read_text())
    record["weights_sha256"] = file_hash(tmp_path / "encoder.safetensors")
    (tmp_path / "encoder.json").write_text(json.dumps(record))
    with pytest.raises(TensorFileError, match=r"missing conv1\.weight; unknown fc\.weight"):
        load_encoder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TensorFileError, match=r"can't read .*nowhere"):
        load_encoder(tmp_path / "nowhere")


def test_too_small_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 32 is possible"):
        EncoderConfig(image_size=16)
