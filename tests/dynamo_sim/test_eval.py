"""`dynamo eval` on the simulated kitchen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import av
import pytest

from bundle_factory import write_bundle
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_sim.cli.eval import COMMAND

GOAL = (0.45, 0.1, 0.3)


@pytest.fixture
def bundle(tmp_path: Path, contract: Contract) -> Path:
    """A bundle whose trials end after a second."""
    tasks = {name: dataclasses.replace(task, time_limit_s=1.0) for name, task in contract.tasks.items()}
    return write_bundle(tmp_path / "bundle", dataclasses.replace(contract, tasks=tasks), GOAL)


def test_trials_are_rolled_out_filmed_and_summed_up(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["eval", "--bundle", str(bundle), "--trials", "2", "--seed", "5", "--out", str(out)]
    assert main(arguments, [COMMAND]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("trial 1/2 put_yogurt seed 5: failure after 1.0 s (time limit")
    trials = json.loads((out / "trials.json").read_text())
    assert [(trial["task"], trial["seed"]) for trial in trials] == [("put_yogurt", 5), ("fetch_yogurt", 6)]
    assert all(trial["stale"] == 0 for trial in trials)
    with av.open(str(out / trials[0]["video"])) as video:
        assert sum(1 for _ in video.decode(video=0)) == pytest.approx(4, abs=2)
    assert json.loads((out / "summary.json").read_text())["trials"] == 2


def test_unknown_task_is_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eval", "--bundle", str(bundle), "--out", str(tmp_path), "--tasks", "put_yoghurt"]
    assert main(arguments, [COMMAND]) == 2
    assert "did you mean 'put_yogurt'" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_find_what_one_finds(bundle: Path, tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        arguments = ["eval", "--bundle", str(bundle), "--trials", "2", "--no-video", "--jobs", jobs]
        assert main([*arguments, "--out", str(tmp_path / jobs)], [COMMAND]) == 0
    one, two = (json.loads((tmp_path / jobs / "trials.json").read_text()) for jobs in ("1", "2"))
    assert one == two


def test_the_encoder_runs_on_the_engine_asked_for(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", "--bundle", str(bundle), "--out", str(tmp_path), "--trials", "1", "--no-video"]
    assert main([*arguments, "--engine", "torch_bf16"], [COMMAND]) == 0
    assert main([*arguments, "--engine", "graphs"], [COMMAND]) == 2
    assert "needs a CUDA device" in capsys.readouterr().err
