"""The state of an interrupted run in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dynamo_policies.contract import differing
from dynamo_policies.tensorfiles import TensorFileError, fill, read_tensors, write_tensors

FILE = "checkpoint.safetensors"
_MODEL, _OPTIMISER, _LOSSES = "model.", "optimiser.", "losses"


@dataclass
class Progress:
    """How far a run is: finished steps, the loss of each, the seconds they took, and where its sampler is.

    `bad_checks`: how many checks in a row, up to the last one, showed a collapse.
    """

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    sampler: dict[str, int] = field(default_factory=dict)
    bad_checks: int = 0

    def checked(self, signs: Collection[str]) -> int:
        """Take the `signs` of a collapse in the next check; return how many checks in a row had any."""
        self.bad_checks = self.bad_checks + 1 if signs else 0
        return self.bad_checks


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    settings: Mapping[str, Any],
) -> None:
    """Write into `folder` all that `load_checkpoint` needs to go on exactly."""
    tensors = {_MODEL + name: tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{_OPTIMISER}{name}.{key}"] = value
    tensors[_LOSSES] = torch.tensor(progress.losses, dtype=torch.float64)
    metadata = {
        "step": progress.step,
        "seconds": progress.seconds,
        "sampler": progress.sampler,
        "bad_checks": progress.bad_checks,
        "settings": settings,
    }
    write_tensors(folder / FILE, tensors, {"run": json.dumps(metadata)})


def load_checkpoint(
    folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, settings: Mapping[str, Any]
) -> Progress:
    """Put the state in `folder` into `model` and `optimiser` and return how far the run was.

    Raises:
        TensorFileError: there is no checkpoint, it is damaged, or it was made with other settings.
    """
    tensors, metadata = read_tensors(folder / FILE)
    if "run" not in metadata:
        raise TensorFileError(f"{folder / FILE} is not a checkpoint of a run")
    run = json.loads(metadata["run"])
    # A setting that came into being after the checkpoint was written can't have been another one.
    given = {key: value for key, value in json.loads(json.dumps(settings)).items() if key in run["settings"]}
    if differences := differing(given, run["settings"]):
        raise TensorFileError(f"{folder / FILE} was made with other settings: {'; '.join(differences)}")
    losses = tensors.pop(_LOSSES).tolist()
    of_model = {name.removeprefix(_MODEL): tensors[name] for name in tensors if name.startswith(_MODEL)}
    fill(model, of_model, where=str(folder / FILE))
    for name, parameter in model.named_parameters():
        _restore(optimiser, parameter, _under(f"{_OPTIMISER}{name}.", tensors))
    return Progress(run["step"], run["seconds"], losses, run["sampler"], run.get("bad_checks", 0))


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # The rest of the name has no dot, so that `norm` does not take what belongs to `norm.weight`.
    found = {name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)}
    return {key: tensor for key, tensor in found.items() if "." not in key}


def _restore(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, state: Mapping[str, Tensor]) -> None:
    # A fused optimiser counts its steps on the parameter's device, others on the CPU.
    counting = parameter.device if optimiser.defaults.get("fused") else torch.device("cpu")
    for key, tensor in state.items():
        if tensor.shape == parameter.shape and tensor.ndim:
            # In the parameter's order of memory, as the optimiser itself makes its averages.
            optimiser.state[parameter][key] = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        else:
            optimiser.state[parameter][key] = tensor.to(counting)
