from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from dynamo_policies.actions import ActionSpace
from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import EncoderConfig, random_encoder
from dynamo_policies.engines.agreement import Bounds, Deviation, deviation, probe_images, target_deviation
from dynamo_policies.engines.base import EngineError, Features, Images, Shape
from dynamo_policies.engines.choice import CANDIDATES, ENGINES, choose, make, use_engine
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Target
from dynamo_policies.policies.base import PolicyRecord
from dynamo_policies.policies.mlp import MlpConfig, MlpNet, MlpPolicy

ENCODER = random_encoder(EncoderConfig(image_size=32, channels=16)).encoder
VIT = random_encoder(EncoderConfig(kind="vit_t16", image_size=32)).encoder
SHAPE = Shape(views=2)
FRAMES = probe_images(SHAPE, 32, count=3)
NEEDS = {"onnx": "onnxruntime", "openvino": "openvino", "openvino_bf16": "openvino"}
REDUCED = {"torch_bf16", "openvino_bf16", "graphs_bf16"}
HERE = [
    name
    for name in CANDIDATES["cpu"]
    if name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None
]


@dataclass
class Shifted:
    """Eager's features, all wrong by the same factor."""

    name: str = "shifted"
    factor: float = 1.1

    def features(self, images: Images) -> Features:
        return np.float32(self.factor) * make("eager", ENCODER, SHAPE).features(images)


def seconds() -> Callable[[], int]:
    """A clock that goes on by a second at each reading."""
    return itertools.count(0, 10**9).__next__


def policy() -> MlpPolicy:
    config = MlpConfig(horizon=5, width=32, depth=2)
    record = PolicyRecord(policy="mlp", config={}, tasks=("one", "two"), feature_size=256, state_size=8)
    net = MlpNet(config, record)
    net.draw(torch.Generator().manual_seed(0))
    return MlpPolicy(net, record, ActionSpace((0.0, 0.0, 0.0, 1.0), relative=True))


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("encoder", [ENCODER, VIT], ids=["resnet", "vit"])
def test_every_engine_gives_the_features_of_eager(name: str, encoder: torch.nn.Module) -> None:
    found = deviation(make(name, encoder, SHAPE), make("eager", encoder, SHAPE), FRAMES)
    assert found.relative < (0.02 if name in REDUCED else 1e-5)
    assert found.cosine > (0.9995 if name in REDUCED else 1 - 1e-6)


def test_an_embedder_gives_the_same_features_on_the_engine_chosen() -> None:
    embedder = Embedder(ENCODER, ("fixed", "wrist"))
    images = {"wrist": FRAMES[0][1], "fixed": FRAMES[0][0]}
    before = embedder.embed(images)
    choice = use_engine(embedder, "auto", clock_ns=seconds(), policy=policy())
    assert embedder.engine is choice.engine
    assert {one.name for one in choice.measured} == {"eager", *CANDIDATES["cpu"]}
    assert np.linalg.norm(embedder.embed(images) - before) <= 0.02 * np.linalg.norm(before)


def test_features_kept_from_one_observation_do_not_change_with_the_next() -> None:
    for name in HERE:
        engine = make(name, ENCODER, SHAPE)
        first = engine.features(FRAMES[0])
        kept = first.copy()
        engine.features(FRAMES[1])
        assert np.array_equal(first, kept)


def test_an_engine_that_computes_something_else_is_refused_however_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ENGINES, "shifted", lambda _encoder, _shape: Shifted())
    choice = choose(
        ENCODER, SHAPE, clock_ns=seconds(), candidates=("shifted",), frames=FRAMES, policy=policy()
    )
    assert choice.engine.name == "eager"
    assert "relative 0.1 > 0.02" in choice.measured[1].refused


def test_an_engine_is_taken_only_where_it_is_clearly_faster() -> None:
    # The clock goes on by the same at each reading, so that all are equally fast.
    choice = choose(ENCODER, SHAPE, clock_ns=seconds(), candidates=("torch_bf16",))
    assert choice.engine.name == "eager"
    assert not choice.measured[1].refused


def test_what_reduced_precision_does_to_actions_is_measured() -> None:
    eager, reduced = (make(name, ENCODER, SHAPE) for name in ("eager", "torch_bf16"))
    found = deviation(reduced, eager, FRAMES, policy())
    assert found.position_mm > 0.0
    assert found.rotation_rad > 0.0
    assert Bounds().broken_by(found._replace(position_mm=3.0)) == ("position_mm 3 > 1",)
    assert Bounds().broken_by(Deviation(float("nan"), float("nan"))) == ("relative nan > 0.02", "cosine nan")


def test_deviation_of_targets_is_in_millimetres_and_radians() -> None:
    here = Target(Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])), 0.0)
    there = Target(Pose(np.array([0.003, 0.004, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])), 0.25)
    assert target_deviation([here, here], [here, there]) == pytest.approx((5.0, np.pi, 0.25))


def test_an_engine_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match=r"'openvino' is not installed .*pip install 'dynamo_policies"):
        make("openvino", ENCODER, SHAPE)
    choice = choose(ENCODER, SHAPE, clock_ns=seconds(), candidates=("openvino",))
    assert choice.measured[1].refused.startswith("package 'openvino'")


def test_graphs_need_a_gpu() -> None:
    with pytest.raises(EngineError, match="needs a CUDA device, not 'cpu'"):
        make("graphs", ENCODER, SHAPE)


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        make("openvine", ENCODER, SHAPE)
