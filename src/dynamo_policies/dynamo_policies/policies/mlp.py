"""A perceptron from features to a chunk of actions: small, quick to fit, and hard to beat on few episodes.

Proprioception is no input by default: a policy that sees the measured pose learns to repeat it. Gaussian
noise on it cures that; the noise on the features keeps a policy fitted to few episodes from relying on single
features.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

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
from dynamo_policies.tensorfiles import fill


@dataclass(frozen=True, kw_only=True)
class MlpConfig(PolicyConfig):
    """Settings of the perceptron; noises are in standard deviations of what they are added to."""

    width: int = 256
    depth: int = 3
    steps: int = 2000
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    feature_noise: float = 0.2
    proprioception: Literal["none", "noisy"] = "none"
    proprioception_noise: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.depth, self.steps, self.batch) < 1:
            raise ConfigError("width, depth, steps and batch must be at least 1")


class MlpNet(nn.Module):
    """Features (N, W, F), states (N, W, S) and tasks (N,) to actions (N, K, A), standardised inside."""

    def __init__(self, config: MlpConfig, record: PolicyRecord) -> None:
        super().__init__()
        self.config = config
        self.tasks = len(record.tasks)
        self.features = Scaling(record.feature_size)
        self.state = Scaling(record.state_size)
        self.actions = Scaling(record.action_size)
        read = record.feature_size + (record.state_size if config.proprioception == "noisy" else 0)
        sizes = [config.window * read + self.tasks, *[config.width] * config.depth]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.write = nn.Linear(config.width, config.horizon * record.action_size)

    def forward(self, features: Tensor, state: Tensor, tasks: Tensor) -> Tensor:
        """Return actions (N, K, A) in their own units."""
        return self.actions.undo(self.standard(features, state, tasks, None))

    def standard(
        self, features: Tensor, state: Tensor, tasks: Tensor, noise: torch.Generator | None
    ) -> Tensor:
        """Return standardised actions (N, K, A); `noise` draws what is added to the inputs, if anything."""
        inputs = [_noisy(self.features.apply_to(features), self.config.feature_noise, noise)]
        if self.config.proprioception == "noisy":
            inputs.append(_noisy(self.state.apply_to(state), self.config.proprioception_noise, noise))
        one_hot = functional.one_hot(tasks, self.tasks).to(features.dtype)
        x = torch.cat([torch.cat(inputs, dim=-1).flatten(1), one_hot], dim=-1)
        for layer in self.hidden:
            x = functional.relu(layer(x))
        return self.write(x).unflatten(-1, (self.config.horizon, -1))  # type: ignore[no-any-return]  # torch's stubs

    def draw(self, generator: torch.Generator) -> None:
        """Draw the first weights as torch's Linear does, but out of `generator`."""
        for layer in [*self.hidden, self.write]:
            bound = 1.0 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


class MlpPolicy:
    """The perceptron as a policy."""

    def __init__(self, net: MlpNet, record: PolicyRecord, space: ActionSpace) -> None:
        self.window, self.horizon, self.space, self.record = (
            net.config.window,
            net.config.horizon,
            space,
            record,
        )
        self._net = net.eval().requires_grad_(requires_grad=False)

    def reset(self) -> None:
        """Do nothing: the perceptron keeps no memory."""

    @torch.inference_mode()
    def act(self, features: Floats, state: Floats, task: str) -> Floats:
        """Return actions (K, A) for `features` (W, F) and `state` (W, S)."""
        index = torch.tensor([task_index(task, self.record.tasks)])
        actions: Tensor = self._net(torch.from_numpy(features)[None], torch.from_numpy(state)[None], index)
        chunk: Floats = actions[0].numpy()
        return chunk

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's weights and scalings."""
        return self._net.state_dict()


def fit_mlp(
    config: MlpConfig,
    samples: Samples,
    record: PolicyRecord,
    space: ActionSpace,
    *,
    seed: int,
    device: torch.device,
    on_progress: OnProgress,
) -> MlpPolicy:
    """Return the perceptron fitted to `samples` by the mean absolute error of standardised actions."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.Generator(device).manual_seed(seed)
    net = _measured(MlpNet(config, record), samples, random).to(device)
    samples = samples.to(device)
    targets = net.actions.apply_to(samples.chunks)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    for step in range(1, config.steps + 1):
        chosen = torch.randint(len(samples), (config.batch,), generator=random).to(device)
        rows, mask = samples.windows[chosen], samples.mask[chosen][..., None]
        given = net.standard(samples.features[rows], samples.state[rows], samples.tasks[chosen], noise)
        loss = ((given - targets[chosen]).abs() * mask).sum() / (mask.sum() * record.action_size)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stubs
        optimiser.step()
        schedule.step()
        on_progress(Progress(step, config.steps, loss.item()))
    return MlpPolicy(net.cpu(), record, space)


def load_mlp(record: PolicyRecord, tensors: Mapping[str, Tensor], space: ActionSpace) -> MlpPolicy:
    """Return the perceptron of `record` holding `tensors`."""
    net = MlpNet(build(MlpConfig, record.config, where="policy"), record)
    fill(net, tensors, where="policy")
    return MlpPolicy(net, record, space)


def _measured(net: MlpNet, samples: Samples, random: torch.Generator) -> MlpNet:
    net.draw(random)
    rows = samples.windows[:, -1]
    net.features.measure(samples.features[rows])
    net.state.measure(samples.state[rows])
    net.actions.measure(samples.chunks[samples.mask])
    return net


def _noisy(values: Tensor, sigma: float, noise: torch.Generator | None) -> Tensor:
    if noise is None or sigma == 0.0:
        return values
    return values + sigma * torch.randn(values.shape, generator=noise, device=values.device)
