"""Where curves go beside TensorBoard's files, which `test_pretraining` reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import team_run
from dynamo_policies.curves import CurvesError
from dynamo_policies.pretraining import Origin, pretrain
from toy_segments import InterruptedRunError, Squares, interrupt_after

ORIGIN = Origin("c", ())


def test_a_run_without_network_keeps_its_curves_for_weights_and_biases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    settings = team_run.recipe("dynamo")
    with pytest.raises(InterruptedRunError):
        pretrain(settings, Squares(), tmp_path, origin=ORIGIN, project="toys", on_step=interrupt_after(3))
    pretrain(settings, Squares(), tmp_path, origin=ORIGIN, project="toys", resume=True)
    kept = sorted((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len({file.name for file in kept}) == 1  # one run there, although it was interrupted
    assert b"effective_rank" in kept[0].read_bytes()


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(CurvesError, match=r"not installed; pip install 'dynamo_policies\[wandb\]'"):
        pretrain(team_run.recipe("dynamo"), Squares(), tmp_path, origin=ORIGIN, project="toys")
