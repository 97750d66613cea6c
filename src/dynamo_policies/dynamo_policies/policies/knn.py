"""Nearest neighbours with locally weighted regression, as VINN does it (arXiv 2112.01511, equation 3).

Among the k nearest demonstrated windows of the task, chunks are averaged with weights exp(-distance). It fits
in no time and shows what an encoder is worth, but absolute actions suit it and corrections do not: see the
config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dynamo_policies.actions import ActionSpace
from dynamo_policies.configs import build
from dynamo_policies.errors import ConfigError
from dynamo_policies.policies.base import (
    Floats,
    OnProgress,
    PolicyConfig,
    PolicyRecord,
    Progress,
    Samples,
    task_index,
)
from dynamo_policies.policies.scaling import Scaling
from dynamo_policies.tensorfiles import TensorFileError, fill


@dataclass(frozen=True, kw_only=True)
class KnnConfig(PolicyConfig):
    """Settings of the neighbours; `temperature` divides distances between standardised features."""

    relative: bool = False
    neighbours: int = 10
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours < 1 or self.temperature <= 0.0:
            raise ConfigError(
                f"neighbours {self.neighbours} and temperature {self.temperature:g} must be positive"
            )


class Memory(nn.Module):
    """What was demonstrated: standardised windows (N, W * F), their tasks (N,) and chunks (N, K, A)."""

    windows: Tensor
    tasks: Tensor
    chunks: Tensor

    def __init__(self, windows: Tensor, tasks: Tensor, chunks: Tensor) -> None:
        super().__init__()
        self.register_buffer("windows", windows)
        self.register_buffer("tasks", tasks)
        self.register_buffer("chunks", chunks)


class KnnPolicy:
    """The neighbours as a policy."""

    def __init__(
        self, config: KnnConfig, memory: Memory, scaling: Scaling, record: PolicyRecord, space: ActionSpace
    ) -> None:
        self.window, self.horizon, self.space, self.record = config.window, config.horizon, space, record
        self._config, self._scaling, self._memory = config, scaling, memory
        self._of_task = [torch.nonzero(memory.tasks == i)[:, 0] for i in range(len(record.tasks))]

    def reset(self) -> None:
        """Do nothing: the neighbours keep no memory of the episode."""

    @torch.inference_mode()
    def act(self, features: Floats, state: Floats, task: str) -> Floats:  # noqa: ARG002 - all policies take it
        """Return actions (K, A) for `features` (W, F); the state is not looked at."""
        rows = self._of_task[task_index(task, self.record.tasks)]
        if not len(rows):
            raise ConfigError(f"task {task!r} was never demonstrated to this policy")
        query = self._scaling.apply_to(torch.from_numpy(features)).flatten()
        distances = (self._memory.windows[rows] - query).norm(dim=1)
        nearest, places = distances.topk(min(self._config.neighbours, len(rows)), largest=False)
        weights = torch.softmax(-nearest / self._config.temperature, dim=0)
        chunk: Floats = torch.einsum("n,nka->ka", weights, self._memory.chunks[rows[places]]).numpy()
        return chunk

    def tensors(self) -> dict[str, Tensor]:
        """Return the scalings and the demonstrated windows, tasks and chunks."""
        return {**self._scaling.state_dict(prefix="scaling."), **self._memory.state_dict(prefix="memory.")}


def fit_knn(
    config: KnnConfig,
    samples: Samples,
    record: PolicyRecord,
    space: ActionSpace,
    *,
    seed: int,  # noqa: ARG001 - nothing here is drawn, but all fits are called alike
    device: torch.device,  # noqa: ARG001
    on_progress: OnProgress,
) -> KnnPolicy:
    """Return a policy that remembers `samples`; past an episode's end a chunk holds the last action."""
    scaling = Scaling(record.feature_size)
    scaling.measure(samples.features[samples.windows[:, -1]])
    windows = scaling.apply_to(samples.features)[samples.windows].flatten(1)
    memory = Memory(windows, samples.tasks, samples.chunks)
    on_progress(Progress(1, 1, 0.0))
    return KnnPolicy(config, memory, scaling, record, space)


def load_knn(record: PolicyRecord, tensors: Mapping[str, Tensor], space: ActionSpace) -> KnnPolicy:
    """Return the policy of `record` that remembers `tensors`."""
    config = build(KnnConfig, record.config, where="policy")
    if "memory.tasks" not in tensors:
        raise TensorFileError(f"policy: memory.tasks is missing; there are {sorted(tensors)}")
    count = len(tensors["memory.tasks"])
    memory = Memory(
        torch.zeros(count, config.window * record.feature_size),
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(count, config.horizon, record.action_size),
    )
    scaling = Scaling(record.feature_size)
    fill(nn.ModuleDict({"memory": memory, "scaling": scaling}), tensors, where="policy")
    return KnnPolicy(config, memory, scaling, record, space)
