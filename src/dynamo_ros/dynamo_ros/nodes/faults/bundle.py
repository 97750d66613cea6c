"""A bundle on disk that keeps an arm moving: random features, and always the same way on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from dynamo_policies.actions import action_space
from dynamo_policies.bundle import save_bundle
from dynamo_policies.contract import Contract
from dynamo_policies.encoders import EncoderConfig, random_encoder
from dynamo_policies.policies.base import PolicyRecord, Samples
from dynamo_policies.policies.knn import KnnConfig, fit_knn

SPEED_M_S, HORIZON, IMAGE_SIZE = 0.06, 10, 32


def write_onward(folder: Path, contract: Contract) -> Path:
    """Write a bundle whose tool goes along +y for ever, from wherever it is, and return its folder."""
    encoder, config = (
        random_encoder(EncoderConfig(image_size=IMAGE_SIZE)),
        KnnConfig(horizon=HORIZON, relative=True),
    )
    space, tasks = action_space(contract, relative=True), tuple(contract.tasks)
    record = PolicyRecord(
        policy="knn",
        config=dataclasses.asdict(config),
        tasks=tasks,
        feature_size=len(contract.cameras) * encoder.record.config.feature_size,
        state_size=len(contract.state_names),
        action_size=space.size,
    )
    policy = fit_knn(
        config,
        _samples(record, SPEED_M_S * contract.period_ns / 1e9),
        record,
        space,
        seed=0,
        device=torch.device("cpu"),
        on_progress=lambda _progress: None,
    )
    save_bundle(folder, contract=contract, encoder=encoder, policy=policy)
    return folder


def _samples(record: PolicyRecord, step_m: float) -> Samples:
    """Return one demonstration of each task: K steps along y."""
    count = len(record.tasks)
    chunk = torch.zeros(HORIZON, record.action_size)
    chunk[:, 1] = step_m * torch.arange(1, HORIZON + 1)
    return Samples(
        features=torch.randn(count, record.feature_size, generator=torch.Generator().manual_seed(0)),
        state=torch.zeros(count, record.state_size),
        windows=torch.arange(count)[:, None],
        tasks=torch.arange(count),
        chunks=chunk.expand(count, HORIZON, record.action_size).clone(),
        mask=torch.ones(count, HORIZON, dtype=torch.bool),
    )
