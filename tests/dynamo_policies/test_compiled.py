"""`compile: true`, which needs a C++ compiler on the CPU."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import team_run
from dynamo_policies.encoders import load_encoder
from dynamo_policies.pretraining import Origin, pretrain
from toy_segments import Squares

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++"),
]


def test_a_compiled_run_learns_what_an_eager_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    losses: dict[bool, list[float]] = {True: [], False: []}
    for compiled, seen in losses.items():
        recipe = team_run.recipe("dynamo", compile=compiled, precision="bf16", covariance_weight=4.0)
        pretrain(
            recipe,
            Squares(),
            tmp_path / str(compiled),
            origin=Origin("c", ()),
            on_step=lambda report, seen=seen: seen.append(report.loss),
        )
    assert any((tmp_path / "cache").rglob("*.so"))  # it was compiled
    assert losses[True] == pytest.approx(losses[False], rel=0.03)
    ours, theirs = (load_encoder(tmp_path / str(kind)).encoder.trunk.state_dict() for kind in (True, False))
    assert list(ours) == list(theirs)
    assert all(torch.isfinite(tensor).all() for tensor in ours.values())
