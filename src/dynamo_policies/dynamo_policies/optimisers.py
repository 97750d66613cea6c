"""The optimisers that a config may name, with one or two groups of parameters for each network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dynamo_policies.errors import UnknownNameError

if TYPE_CHECKING:
    from dynamo_policies.objectives import Objective
    from dynamo_policies.recipes import PretrainConfig

TRUST = 0.001  # LARS: how far a step may move a tensor, as a share of its norm and of the learning rate


class Lars(torch.optim.Optimizer):
    """Momentum whose steps are scaled to each tensor's norm (You et al. 2017, arXiv 1708.03888).

    A gradient g, with `weight_decay` * w added, becomes `TRUST` * |w| / |g| * g and enters the momentum.
    Tensors of at most one dimension, biases and norms, are neither scaled nor decayed. As in MoCo v3's code.
    """

    def __init__(
        self,
        params: Iterable[Mapping[str, Any]],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__([dict(group) for group in params], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002  # torch's signature; no loss is returned
        """Move every parameter that has a gradient; `closure` is not used."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: Mapping[str, Any]) -> None:
        if parameter.ndim > 1:
            gradient = gradient + group["weight_decay"] * parameter
            gradient = gradient * trust_ratio(parameter, gradient)
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(group["momentum"]).add_(gradient)
        parameter.sub_(group["lr"] * state["momentum"])


def trust_ratio(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return `TRUST` * |parameter| / |gradient|, or 1 where either norm is 0."""
    of_parameter, of_gradient = parameter.norm(), gradient.norm()
    either_zero = (of_parameter == 0.0) | (of_gradient == 0.0)
    return torch.where(either_zero, 1.0, TRUST * of_parameter / of_gradient.clamp_min(1e-30))


def adam(groups: list[dict[str, Any]], config: PretrainConfig) -> torch.optim.Optimizer:
    """Return Adam, its weight decay being the gradient of a quadratic penalty."""
    return torch.optim.Adam(groups, lr=config.learning_rate, betas=_betas(config), fused=_fused(groups))


def adamw(groups: list[dict[str, Any]], config: PretrainConfig) -> torch.optim.Optimizer:
    """Return Adam with decoupled weight decay."""
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=_betas(config), fused=_fused(groups))


def lars(groups: list[dict[str, Any]], config: PretrainConfig) -> torch.optim.Optimizer:
    """Return LARS."""
    return Lars(groups, lr=config.learning_rate, momentum=config.momentum)


OPTIMISERS: dict[str, Callable[[list[dict[str, Any]], PretrainConfig], torch.optim.Optimizer]] = {
    "adam": adam,
    "adamw": adamw,
    "lars": lars,
}


def make_optimiser(objective: Objective, config: PretrainConfig) -> torch.optim.Optimizer:
    """Return the optimiser of `config` over the networks of `objective`; groups are named after theirs.

    Raises:
        UnknownNameError: `constant_lr` or `undecayed_vectors` names a network that is not there.
    """
    networks = objective.networks()
    for key in ("constant_lr", "undecayed_vectors"):
        for name in getattr(config, key):
            if name not in networks:
                raise UnknownNameError(f"{key}: network", name, networks)
    groups = [group for name, network in networks.items() for group in _groups(name, network, config)]
    return OPTIMISERS[config.optimiser](groups, config)


def _groups(name: str, network: nn.Module, config: PretrainConfig) -> list[dict[str, Any]]:
    """Return the parameters of `network`; those without weight decay in a group of their own."""
    parameters, decay = list(network.parameters()), config.weight_decay
    if name not in config.undecayed_vectors:
        return [{"params": parameters, "name": name, "weight_decay": decay}]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "name": name, "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim < 2], "name": name, "weight_decay": 0.0},
    ]


def _fused(groups: list[dict[str, Any]]) -> bool | None:
    """Return True where all parameters are on CUDA: one kernel a step; elsewhere torch chooses."""
    return all(parameter.is_cuda for group in groups for parameter in group["params"]) or None


def _betas(config: PretrainConfig) -> tuple[float, float]:
    return config.betas[0], config.betas[1]
