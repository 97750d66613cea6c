"""Encoders that others trained, from small checkpoints in each published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

import foreign_factory as factory
from dynamo_policies.cli import encoder as command
from dynamo_policies.cli.main import main
from dynamo_policies.encoders import EncoderConfig, load_encoder, random_encoder
from dynamo_policies.errors import ConfigError, DynamoError, UnknownNameError
from dynamo_policies.foreign import import_encoder, resized_positions, starting_encoder
from dynamo_policies.foreign_weights import ForeignWeightsError, read_weights
from dynamo_policies.preprocessing import fitted
from dynamo_policies.tensorfiles import TensorFileError

LAYOUTS: dict[str, tuple[Callable[[], Any], Callable[[], dict[str, Tensor]]]] = {
    "imagenet": (factory.imagenet, factory.resnet),
    "r3m": (factory.r3m, factory.resnet),
    "dynamo": (factory.dynamo, factory.resnet),
    "mae": (factory.mae, factory.vit),
}


def images(size: int, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_each_layout_is_told_by_what_is_in_it(tmp_path: Path, kind: str) -> None:
    make, weights = LAYOUTS[kind]
    loaded = import_encoder(factory.save(tmp_path / "file.pth", make()), image_size=32)
    assert loaded.record.objective == kind
    given, expected = loaded.encoder.trunk.state_dict(), weights()
    kept = [name for name in expected if kind != "imagenet" or not name.endswith("num_batches_tracked")]
    assert all(torch.equal(given[name], expected[name]) for name in kept)
    assert not loaded.encoder.training
    assert not any(parameter.requires_grad for parameter in loaded.encoder.parameters())


def test_what_was_left_out_and_filled_in_is_recorded(tmp_path: Path) -> None:
    settings = import_encoder(factory.save(tmp_path / "r18.pth", factory.imagenet())).record.settings
    assert settings["layout"] == "flat"
    assert settings["dropped"] == ["fc.weight", "fc.bias"]
    assert len(settings["filled"]) == 20
    assert all(name.endswith("num_batches_tracked") for name in settings["filled"])
    settings = import_encoder(factory.save(tmp_path / "r3m.pt", factory.r3m())).record.settings
    assert settings["dropped"] == ["module.lang_enc.model.weight", "module.lang_rew.pred.0.bias"]
    assert settings["filled"] == []
    settings = import_encoder(
        factory.save(tmp_path / "mae.pth", factory.mae()), image_size=32
    ).record.settings
    assert settings["layout"] == "model"
    assert sorted(settings["dropped"]) == sorted(factory.decoder())


@pytest.mark.parametrize("wrap", ["state_dict", "model", "prefix", "compiled", "safetensors"])
def test_wrapped_and_prefixed_weights_are_found(tmp_path: Path, wrap: str) -> None:
    weights, path = factory.resnet(), tmp_path / "weights.pt"
    if wrap == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(weights, path)
    elif wrap in ("state_dict", "model"):
        factory.save(path, {wrap: weights, "epoch": 3})
    else:
        prefix = {"prefix": "module.encoder.", "compiled": "_orig_mod."}[wrap]
        factory.save(path, {prefix + name: value for name, value in weights.items()})
    assert torch.equal(import_encoder(path).encoder.trunk.conv1.weight, weights["conv1.weight"])


def test_vc1_and_mvp_differ_only_for_images_of_another_size(tmp_path: Path) -> None:
    path = factory.save(tmp_path / "vit.pth", factory.vc1())
    assert import_encoder(path, image_size=32).record.objective == "vit"
    with pytest.raises(ForeignWeightsError, match="for 64 pixels say which it is: vc1, mvp or mae"):
        import_encoder(path, image_size=64)
    features = [
        [import_encoder(path, kind, image_size=size).encoder(images(size)) for kind in ("vc1", "mvp")]
        for size in (32, 64)
    ]
    assert features[0][0].shape == (2, 192)
    assert torch.equal(*features[0])
    assert not torch.allclose(*features[1])


def test_images_of_the_networks_size_are_left_as_they_are_and_others_cropped_as_published(
    tmp_path: Path,
) -> None:
    path = factory.save(tmp_path / "r3m.pt", factory.r3m())
    full, small = (import_encoder(path, image_size=size).encoder for size in (224, 64))
    assert full.normalised(images(224)).shape == (2, 3, 224, 224)
    plain = random_encoder(EncoderConfig(image_size=224, channels=4)).encoder
    torch.testing.assert_close(full.normalised(images(224)), plain.normalised(images(224)))
    pixels = images(64).permute(0, 3, 1, 2) / 255.0
    resized = functional.interpolate(pixels, (256, 256), mode="bilinear", antialias=True)[..., 16:240, 16:240]
    torch.testing.assert_close(small.normalised(images(64)), plain.normalised(resized.permute(0, 2, 3, 1)))


def test_fitting_keeps_the_range_of_pixels() -> None:
    sharp = (torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    for fit in ("crop_bilinear", "crop_bicubic", "squeeze_bicubic"):
        result = fitted(sharp, 56, fit)
        assert result.shape == (1, 3, 56, 56)
        assert result.min() >= 0.0
        assert result.max() <= 1.0
    assert fitted(sharp, 56, "none") is sharp


def test_a_network_may_see_smaller_images_than_it_was_trained_with(tmp_path: Path) -> None:
    path = factory.save(tmp_path / "vit.pth", {"model": factory.vit(size=64)})
    encoder = import_encoder(path, "vc1", image_size=64, network_size=32).encoder
    assert encoder.trunk.pos_embed.shape == (1, 1 + 4, 192)
    assert encoder(images(64)).shape == (2, 192)


def test_positions_are_interpolated_on_the_grid_and_the_class_tokens_stays() -> None:
    ramp = torch.arange(4.0).repeat(4).reshape(1, 16, 1)  # columns of a 4 x 4 grid
    positions = torch.cat([torch.full((1, 1, 1), 9.0), ramp], dim=1)
    resized = resized_positions(positions, 8)
    assert resized[0, 0, 0] == 9.0
    grid = resized[0, 1:, 0].reshape(8, 8)
    assert torch.allclose(grid, grid[:1].expand(8, 8))
    assert (grid[0].diff() > 0).all()
    assert resized_positions(positions, 4) is positions


def test_files_with_objects_are_not_loaded(tmp_path: Path) -> None:
    path = factory.save(tmp_path / "encoder.pt", nn.Linear(2, 2))
    with pytest.raises(
        ForeignWeightsError, match="holds objects whose loading could run code, and is not loaded"
    ):
        import_encoder(path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ForeignWeightsError, match=r"text\.pth is no PyTorch checkpoint"):
        import_encoder(tmp_path / "text.pth")
    whole = factory.save(tmp_path / "whole.pth", factory.imagenet()).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ForeignWeightsError, match=r"cut\.pth"):
        import_encoder(tmp_path / "cut.pth")
    with pytest.raises(ForeignWeightsError, match=r"can't read .*nowhere\.pth"):
        import_encoder(tmp_path / "nowhere.pth")
    with pytest.raises(ForeignWeightsError, match="holds list, not weights by name"):
        import_encoder(factory.save(tmp_path / "list.pth", [1, 2]))
    with pytest.raises(ForeignWeightsError, match=r"holds no weights: .* it has epoch, best"):
        import_encoder(factory.save(tmp_path / "numbers.pth", {"epoch": 1, "best": 0.5}))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
def test_damage_anywhere_is_a_sentence_and_not_a_crash(tmp_path: Path, legacy: bool) -> None:
    path, random = tmp_path / "file.pth", np.random.default_rng(0)
    torch.save({"conv1.weight": torch.ones(2, 3, 7, 7)}, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    refused = 0
    for _ in range(60):
        changed = bytearray(whole)
        for place in random.integers(0, min(len(whole), 500), 3):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_weights(path)
        except DynamoError:
            refused += 1
    assert refused > 20


def test_missing_and_unexpected_weights_are_named(tmp_path: Path) -> None:
    weights = factory.resnet()
    weights["layer5.weight"] = weights.pop("layer1.0.conv1.weight")
    with pytest.raises(TensorFileError, match=r"missing layer1\.0\.conv1\.weight; unknown layer5\.weight"):
        import_encoder(factory.save(tmp_path / "odd.pth", weights))
    other = {"model": {"stem.weight": torch.ones(3)}}
    with pytest.raises(ForeignWeightsError, match=r"neither a ResNet .* it has 1 tensors: stem\.weight"):
        import_encoder(factory.save(tmp_path / "other.pth", other))


def test_two_encoders_in_one_file_are_not_taken_for_one(tmp_path: Path) -> None:
    online, average = factory.resnet(), factory.resnet()
    both = {f"encoder.{name}": value for name, value in online.items()}
    both |= {f"module.{name}": value + 1 for name, value in average.items()}
    says = r"more than one encoder: encoder\.conv1\.weight and module\.conv1\.weight are both conv1\.weight"
    with pytest.raises(ForeignWeightsError, match=says):
        import_encoder(factory.save(tmp_path / "snapshot.pth", both))


def test_a_kind_that_the_file_is_not_is_refused(tmp_path: Path) -> None:
    path = factory.save(tmp_path / "r3m.pt", factory.r3m())
    with pytest.raises(ForeignWeightsError, match="holds a resnet18; encoders of kind 'vc1' are vit"):
        import_encoder(path, "vc1")
    with pytest.raises(UnknownNameError, match="encoder kind 'r3n' is unknown; did you mean 'r3m'"):
        import_encoder(path, "r3n")


def test_a_vision_transformer_of_unknown_size_is_refused(tmp_path: Path) -> None:
    weights = {name: value for name, value in factory.vit().items() if not name.startswith("blocks.11.")}
    with pytest.raises(ConfigError, match=r"patch, width and layers are \(16, 192, 11\); possible are"):
        import_encoder(factory.save(tmp_path / "odd.pth", weights), image_size=32)


@pytest.mark.parametrize(("kind", "make"), [("r3m", factory.r3m), ("vc1", factory.vc1)])
def test_the_command_makes_a_folder_that_gives_the_same_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, make: Callable[[], Any]
) -> None:
    path, out = factory.save(tmp_path / "file.pth", make()), tmp_path / "encoder"
    arguments = ["encoder", "import", path, "--kind", kind, "--out", out, "--image-size", "64"]
    assert main([str(argument) for argument in arguments], [command.COMMAND]) == 0
    loaded = load_encoder(out)
    direct = import_encoder(path, kind, image_size=64).encoder
    torch.testing.assert_close(loaded.encoder(images(64)), direct(images(64)))
    assert loaded.record.config.frames.size == 64
    said = capsys.readouterr().out
    assert f"{kind}: " in said
    assert "dropped" in said
    assert main([str(argument) for argument in arguments], [command.COMMAND]) == 2
    assert "holds an encoder already; name another folder" in capsys.readouterr().err


def test_training_starts_from_given_weights(tmp_path: Path) -> None:
    path = factory.save(tmp_path / "r18.pth", factory.imagenet())
    config = EncoderConfig(image_size=32, channels=4, seed=6)
    encoder = starting_encoder(config, path)
    assert encoder.config == config
    assert encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert torch.equal(encoder.trunk.bn1.running_mean, factory.resnet()["bn1.running_mean"])
    with pytest.raises(ConfigError, match="its channels is 4, the run's is 64"):
        starting_encoder(EncoderConfig(image_size=32), path)
