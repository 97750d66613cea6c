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
from dynamo_policies.augment import Step
from dynamo_policies.feeding import feeding
from dynamo_policies.objectives import OBJECTIVES
from dynamo_policies.objectives.byol import Byol, ByolConfig, ByolT, ByolTConfig
from dynamo_policies.objectives.moco import MocoConfig, MocoV3, contrast
from dynamo_policies.pretraining import Origin, StepReport, make_objective, pretrain
from dynamo_policies.processes import join, leave
from dynamo_policies.recipes import Recipe, load_recipe
from dynamo_policies.steps import learn
from dynamo_policies.tensorfiles import write_tensors
from toy_segments import InterruptedRunError, Squares, interrupt_after


class AsRecorded(ByolConfig):
    """BYOL without augmentations, which each process draws for itself."""

    @property
    def augmentations(self) -> tuple[Step, ...]:
        """Nothing."""
        return ()


class NeighboursAsRecorded(ByolTConfig):
    """BYOL-T without augmentations."""

    @property
    def augmentations(self) -> tuple[Step, ...]:
        """Nothing."""
        return ()


class MocoAsRecorded(MocoConfig):
    """MoCo v3 without augmentations."""

    @property
    def augmentations(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """Nothing, and again nothing."""
        return (), ()


OBJECTIVES |= {
    "byol_as_recorded": (AsRecorded, Byol),
    "byol_t_as_recorded": (NeighboursAsRecorded, ByolT),
    "moco_v3_as_recorded": (MocoAsRecorded, MocoV3),
}
CONFIGS = Path(__file__).parents[1] / "config" / "pretrain"
LOOP: dict[str, Any] = {
    "image_size": 32, "channels": 4, "segment_length": 4, "segments": 4, "steps": 4, "checkpoint_every": 2,
    "log_every": 2, "precision": "float32", "learning_rate": 1e-3, "stop_on_collapse": False,
}  # fmt: skip
TRANSFORMERS: dict[str, Any] = {"window": 3, "layers": 1, "heads": 2, "width": 8}
DYNAMO: dict[str, Any] = TRANSFORMERS | {"latent_size": 4, "covariance_weight": 4.0}
HEADS: dict[str, Any] = {"hidden": 16, "projection": 8}
# Each with its config and what is changed in it; all of these mean the same however many processes there are.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamo": ("dynamo", DYNAMO),
    "dynamo_ema": ("dynamo_ema", DYNAMO | {"inverse_in_ema": True}),
    "dynamo_actions": ("ablations/action_labels", DYNAMO | {"head_width": 16}),
    "inverse_dynamics": ("ablations/inverse_only_gt", TRANSFORMERS | {"covariance_weight": 4.0}),
    "byol": ("byol", HEADS | {"objective": "byol_as_recorded"}),
    "byol_t": ("byol_t", HEADS | {"objective": "byol_t_as_recorded"}),
    # At 1e-3 the roundings of MoCo's small network grow too fast for four steps.
    "moco_v3": ("moco_v3", HEADS | {"objective": "moco_v3_as_recorded", "learning_rate": 1e-4}),
    "tcn_mv": ("tcn_mv", {"embedding": 8, "colours": "as_recorded", "negatives": "sequence"}),
}
QUERIES = 6


def recipe(case: str, **changes: Any) -> Recipe:
    """Return the settings of `case`, small."""
    config, own = CASES[case]
    return load_recipe(CONFIGS / f"{config}.yaml", **(LOOP | own | changes))


def losses_of(case: str, folder: Path, **changes: Any) -> list[float]:
    """Run `case` and return the loss of each step."""
    losses: list[float] = []

    def note(report: StepReport) -> None:
        losses.append(report.loss)

    pretrain(recipe(case, **changes), Squares(), folder, origin=Origin("c", ()), on_step=note)
    return losses


def gradients_of(case: str) -> dict[str, torch.Tensor]:
    """Return the gradients of the first step of `case`."""
    settings, team = recipe(case), join("cpu")
    objective = make_objective(settings).train()
    objective.before_step(0.0)
    model = team.prepare_model(objective)
    with feeding(Squares(), settings.run, team, actions=objective.needs_actions) as feed:
        learn(model, feed.next(team.device), settings.run, 0, team)
    return {name: one.grad for name, one in objective.named_parameters() if one.grad is not None}


def vectors() -> tuple[torch.Tensor, torch.Tensor]:
    """Return queries and keys (N, 5) of all processes."""
    generator = torch.Generator().manual_seed(0)
    queries, keys = torch.randn(2, QUERIES, 5, generator=generator)
    return queries, keys


def main(out: Path) -> None:
    """Run every case, and one that is interrupted and resumed."""
    PartialState(cpu=True)
    for case in CASES:
        gradients = gradients_of(case)
        if rank() == 0:
            write_tensors(out / f"{case}.gradients", gradients)
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
