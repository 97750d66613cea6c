"""Where the curves of a run go: TensorBoard always, Weights & Biases if asked for."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch.utils.tensorboard import SummaryWriter

from dynamo_policies.errors import DynamoError
from dynamo_policies.health import collapse_signs, spread
from dynamo_policies.objectives import Losses

logger = logging.getLogger(__name__)
PROJECT_HINT = "pip install 'dynamo_policies[wandb]'"


class CurvesError(DynamoError):
    """Curves can't be written where they should go."""


class Curves(Protocol):
    """Takes the values of a step."""

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write `values` by name, of `step`."""


class TensorBoard:
    """Curves as TensorBoard's event files."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write `values` by name, of `step`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


class WeightsAndBiases:
    """Curves of one run of Weights & Biases; `run` is what its `init` returns."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write `values` by name, of `step`."""
        self._run.log(dict(values), step=step)


class All:
    """Several places at once; none of them for processes that don't write."""

    def __init__(self, places: Sequence[Curves]) -> None:
        self._places = places

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write `values` by name, of `step`, in each place."""
        for place in self._places:
            place.add(values, step)


@contextmanager
def open_curves(
    folder: Path, settings: Mapping[str, Any], *, step: int, project: str, team: Accelerator
) -> Iterator[Curves]:
    """Yield curves that go to `folder`/tensorboard and, unless `project` is empty, to that project of W&B.

    Processes other than the leader write nowhere. What an interrupted run wrote after `step`, that of the
    checkpoint, is replaced.
    W&B's own variables hold (`WANDB_MODE=offline` writes to `folder`/wandb alone); a resumed run goes on as
    the same run there.

    Raises:
        CurvesError: W&B is asked for and not installed.
    """
    with ExitStack() as stack:
        places: list[Curves] = []
        if team.is_main_process:
            writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
            places.append(TensorBoard(stack.enter_context(writer)))
        if team.is_main_process and project:
            run = _wandb().init(**_identity(folder, project), config=dict(settings))
            places.append(WeightsAndBiases(stack.enter_context(run)))
        yield All(places)


def log_step(
    curves: Curves,
    losses: Losses,
    step: int,
    optimiser: torch.optim.Optimizer,
    others: Mapping[str, float],
) -> list[str]:
    """Write the curves of `step`, `others` among them; return the signs of a collapse, if there are any."""
    found = spread(losses.embeddings)
    values = {name: float(value) for name, value in losses.parts.items()}
    values |= {"embedding_std": found.std, "embedding_norm": found.norm}
    values |= {"effective_rank": found.effective_rank, "variance_rank": found.variance_rank}
    values |= others
    values |= {f"learning_rate/{group['name']}": group["lr"] for group in optimiser.param_groups}
    curves.add(values, step)
    signs = collapse_signs(found, loss=losses.total.item(), trivial=losses.trivial)
    if signs:
        logger.warning("step %d: the encoder may collapse: %s", step, "; ".join(signs))
    return signs


def _wandb() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise CurvesError(f"Weights & Biases is not installed; {PROJECT_HINT}") from error


def _identity(folder: Path, project: str) -> dict[str, Any]:
    """Return what makes a run of W&B the one of `folder`."""
    file = folder / "wandb_run.txt"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(os.urandom(6).hex())
    name = file.read_text().strip()
    return {"project": project, "dir": str(folder), "name": folder.name, "id": name, "resume": "allow"}
