"""What one of several processes does in tests of runs that they share; started by `torchrun`.

`python -m torch.distributed.run --nproc-per-node 2 tests/team_run.py OUT` leaves results in OUT, a JSON file
for each case and the folders of its runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from dynamo_policies.across import rank
from dynamo_policies.objectives.moco import contrast
from dynamo_policies.pretraining import Origin, StepReport, pretrain
from dynamo_policies.processes import leave
from dynamo_policies.recipes import Recipe, load_recipe
from toy_segments import InterruptedRunError, Squares, interrupt_after

CONFIGS = Path(__file__).parents[1] / "config" / "pretrain"
TINY: dict[str, Any] = {
    "image_size": 32, "channels": 4, "segment_length": 4, "segments": 4, "steps": 4, "checkpoint_every": 2,
    "log_every": 2, "precision": "float32", "learning_rate": 1e-3, "window": 3, "latent_size": 4, "layers": 1,
    "heads": 2, "width": 8, "stop_on_collapse": False,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "dynamo": {"covariance_weight": 4.0},
    "dynamo_ema": {"inverse_in_ema": True, "covariance_weight": 4.0},
}
QUERIES = 6


def recipe(case: str, **changes: Any) -> Recipe:
    """Return the settings of `case`, small."""
    return load_recipe(CONFIGS / f"{case}.yaml", **(TINY | CASES[case] | changes))


def losses_of(case: str, folder: Path, **changes: Any) -> list[float]:
    """Run `case` and return the loss of each step."""
    losses: list[float] = []

    def note(report: StepReport) -> None:
        losses.append(report.loss)

    pretrain(recipe(case, **changes), Squares(), folder, origin=Origin("c", ()), on_step=note)
    return losses


def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    """Return queries and keys (N, 5) of all processes."""
    generator = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(2, QUERIES, 5, generator=generator)
    return queries, keys


def main(out: Path) -> None:
    """Run every case, and one that is interrupted and resumed."""
    PartialState(cpu=True)
    found: dict[str, Any] = {case: losses_of(case, out / case) for case in CASES}
    found["accumulated"] = losses_of("dynamo", out / "accumulated", accumulate=2)
    cut, settings = out / "cut", recipe("dynamo")
    try:
        pretrain(settings, Squares(), cut, origin=Origin("c", ()), on_step=interrupt_after(3))
    except InterruptedRunError:
        pretrain(settings, Squares(), cut, origin=Origin("c", ()), resume=True)
    half = slice(rank() * QUERIES // 2, (rank() + 1) * QUERIES // 2)
    queries, keys = vectors()
    found["contrast"] = contrast(queries[half], keys[half], 0.3).item()
    (out / f"found_{rank()}.json").write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
