"""Real bundles as small as they can be: a random encoder and one remembered chunk, always the answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dynamo_policies.actions import action_space
from dynamo_policies.bundle import save_bundle
from dynamo_policies.contract import Contract
from dynamo_policies.encoders import EncoderConfig, random_encoder
from dynamo_policies.novelty import Demonstrated, Novelty, calibrate
from dynamo_policies.policies.base import PolicyRecord, Samples
from dynamo_policies.policies.knn import KnnConfig, fit_knn


def write_bundle(
    folder: Path,
    contract: Contract,
    position: tuple[float, float, float],
    *,
    gripper: float = 0.0,
    hand: Sequence[float] = (),
    demonstrated: bool = False,
) -> Path:
    """Write a bundle that drives the tool to `position`, pointing down, and return its folder.

    What the arm carries goes to `gripper` (0 open to 1 closed) or to the joints `hand` (16,) rad.
    With `demonstrated` it knows demonstrations, like none of which anything will be.
    """
    encoder = random_encoder(EncoderConfig(image_size=32))
    features = len(contract.cameras) * encoder.record.config.feature_size
    config = KnnConfig(horizon=10)
    tasks, space = tuple(contract.tasks), action_space(contract, relative=False)
    record = PolicyRecord(
        policy="knn",
        config=dataclasses.asdict(config),
        tasks=tasks,
        feature_size=features,
        state_size=len(contract.state_names),
        action_size=space.size,
    )
    grip = [] if contract.gripper is None else [gripper]
    action = torch.tensor([*position, 0.0, 0.0, 0.0, *grip, *hand])
    count = len(tasks)
    samples = Samples(
        features=torch.randn(count, features, generator=torch.Generator().manual_seed(0)),
        state=torch.zeros(count, len(contract.state_names)),
        windows=torch.arange(count)[:, None],
        tasks=torch.arange(count),
        chunks=action.expand(count, config.horizon, space.size).clone(),
        mask=torch.ones(count, config.horizon, dtype=torch.bool),
    )
    policy = fit_knn(
        config, samples, record, space, seed=0, device=torch.device("cpu"), on_progress=lambda _progress: None
    )
    novelty = _elsewhere(features, tuple(contract.cameras)) if demonstrated else None
    save_bundle(folder, contract=contract, encoder=encoder, policy=policy, novelty=novelty)
    return folder


def _elsewhere(features: int, cameras: tuple[str, ...]) -> Novelty:
    rng = np.random.default_rng(0)
    images = {name: np.full((5, 32, 32, 3), 90, np.uint8) for name in cameras}
    far = [rng.normal(1e3, 1.0, (5, features)).astype(np.float32) for _ in range(2)]
    return calibrate([Demonstrated(rows, images, np.arange(5)) for rows in far], len(cameras))
