from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from dynamo_policies.embed import Embedder, EmbedError
from dynamo_policies.encoders import EncoderConfig, random_encoder
from dynamo_policies.errors import ConfigError

ENCODER = random_encoder(EncoderConfig(image_size=32, channels=8)).encoder
CAMERAS = ("fixed", "wrist")


def images(ticks: int) -> dict[str, npt.NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return {name: random.integers(0, 256, (ticks, 32, 32, 3), dtype=np.uint8) for name in ("wrist", "fixed")}


def test_features_of_views_follow_the_order_of_cameras() -> None:
    observation = {name: stack[0] for name, stack in images(1).items()}
    joined = Embedder(ENCODER, CAMERAS).embed(observation)
    assert joined.shape == (128,)
    assert joined.dtype == np.float32
    for place, name in enumerate(CAMERAS):
        alone = Embedder(ENCODER, (name,)).embed(observation)
        np.testing.assert_allclose(joined[64 * place : 64 * (place + 1)], alone, rtol=1e-4, atol=1e-5)


def test_ticks_of_an_episode_are_embedded_as_live_ones_are() -> None:
    embedder, stacks = Embedder(ENCODER, CAMERAS), images(35)
    together = embedder.embed_ticks(stacks)
    alone = [embedder.embed({name: stack[i] for name, stack in stacks.items()}) for i in range(35)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-4, atol=1e-5)


def test_the_encoder_is_frozen_and_the_callers_own_stays_as_it_was() -> None:
    encoder = random_encoder(EncoderConfig(image_size=32, channels=8)).encoder.train()
    embedder = Embedder(encoder, CAMERAS)
    before = encoder.trunk.bn1.running_mean.clone()
    embedder.embed_ticks(images(2))
    assert encoder.training
    assert not embedder.encoder.training
    assert torch.equal(encoder.trunk.bn1.running_mean, before)


def test_bfloat16_features_lie_near_those_of_float32() -> None:
    exact = Embedder(ENCODER, CAMERAS).embed_ticks(images(4))
    rounded = Embedder(ENCODER, CAMERAS, precision="bf16").embed_ticks(images(4))
    assert rounded.dtype == np.float32
    assert 0.0 < np.linalg.norm(exact - rounded) < 0.03 * np.linalg.norm(exact)


def test_a_missing_camera_is_named() -> None:
    with pytest.raises(EmbedError, match=r"no image of camera 'wrist'; given are \['fixed'\]"):
        Embedder(ENCODER, CAMERAS).embed({"fixed": images(1)["fixed"][0]})


def test_an_image_of_another_size_is_refused() -> None:
    wrong = {name: np.zeros((48, 48, 3), np.uint8) for name in CAMERAS}
    with pytest.raises(
        EmbedError, match=r"image is \(48, 48, 3\) uint8, the encoder was made for \(32, 32, 3\)"
    ):
        Embedder(ENCODER, CAMERAS).embed(wrong)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision 'fp16' is unknown"):
        Embedder(ENCODER, CAMERAS, precision="fp16")  # type: ignore[arg-type]  # the error is the point
