"""Runs that two processes share (gloo, on the CPU), against the same runs in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import team_run
from dynamo_policies.devices import check_device
from dynamo_policies.encoders import load_encoder
from dynamo_policies.errors import ConfigError
from dynamo_policies.objectives.moco import contrast
from dynamo_policies.processes import join, share_of
from dynamo_policies.tensorfiles import read_tensors

ROOT = Path(__file__).parents[2]
PATHS = (ROOT / "src" / "dynamo_policies", ROOT / "tests")


def launch(*arguments: str | Path) -> None:
    """Run `arguments` in two processes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, PATHS)), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*words, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind; see `team_run`."""
    out = tmp_path_factory.mktemp("team")
    launch(ROOT / "tests" / "team_run.py", out)
    return out


def found(team: Path, rank: int) -> dict[str, Any]:
    return json.loads((team / f"found_{rank}.json").read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_encoder(folder).encoder.trunk.state_dict()


@pytest.mark.parametrize("case", team_run.CASES)
def test_two_processes_have_the_losses_of_one(team: Path, tmp_path: Path, case: str) -> None:
    alone = team_run.losses_of(case, tmp_path)
    assert found(team, 0)[case] == found(team, 1)[case] == pytest.approx(alone, rel=1e-3)
    assert found(team, 0)[case][0] == pytest.approx(alone[0], rel=1e-5)  # before roundings can grow
    ours, theirs = weights(team / case), weights(tmp_path)
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name].float(), tensor.float(), rtol=0.05, atol=2e-3)


@pytest.mark.parametrize("case", team_run.CASES)
def test_two_processes_have_the_gradients_of_one(team: Path, case: str) -> None:
    """The losses of Adam's steps would not show gradients that are a multiple of what they should be."""
    alone, shared = team_run.gradients_of(case), read_tensors(team / f"{case}.gradients")[0]
    assert set(shared) == set(alone)
    ours, theirs = (torch.cat([one[name].flatten() for name in alone]) for one in (shared, alone))
    assert (ours - theirs).norm() < 1e-3 * theirs.norm()


def test_both_processes_agree_on_steps_learned_from_in_parts(team: Path) -> None:
    assert found(team, 0)["accumulated"] == found(team, 1)["accumulated"] != found(team, 0)["dynamo"]


def test_a_shared_run_resumes_to_the_bit(team: Path) -> None:
    ours, theirs = (read_tensors(team / name / "checkpoint.safetensors")[0] for name in ("cut", "dynamo"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert all(torch.equal(weights(team / "cut")[k], v) for k, v in weights(team / "dynamo").items())


def test_the_leader_alone_writes_curves(team: Path) -> None:
    assert len(list((team / "dynamo" / "tensorboard").iterdir())) == 1


def test_keys_of_all_processes_are_searched(team: Path) -> None:
    queries, keys = team_run.vectors()
    of_two = [found(team, rank)["contrast"] for rank in (0, 1)]
    assert sum(of_two) / 2 == pytest.approx(contrast(queries, keys, 0.3).item(), rel=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has what is to be missing")
def test_a_device_that_is_not_there_is_refused_rather_than_replaced() -> None:
    with pytest.raises(ConfigError, match=r"device 'cuda' is asked for; torch .* sees 0 of CUDA here"):
        join("cuda")


@pytest.mark.parametrize("name", ["gpu", "meta"])
def test_devices_of_other_kinds_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' is .*; possible are cpu, cuda"):
        check_device(name)


def test_segments_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="segments 7 can't be shared by 1 processes in 2 parts each"):
        share_of(7, join("cpu"), parts=2)
