"""DynaMo's losses written out a second time, literally and with loops, for tests to compare with.

Nothing of the library computes here: the networks are read as tables of numbers under their names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dynamo_policies.nets.transformer import CausalTransformer
from dynamo_policies.objectives.dynamo import Dynamo
from dynamo_policies.objectives.labelled import DynamoActions, InverseDynamics

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """All numbers of `module` by name, with their gradients."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def oracle_encoder(encoder: nn.Module, images: Tensor, *, batch_statistics: bool) -> Tensor:
    """Embed (B, T, V, H, W, 3) bytes; batch norms use the batch's statistics, or their running ones."""
    p = tensors(encoder.trunk)
    x = images.flatten(0, 2).double() / 255
    x = torch.stack([(x[..., c] - MEAN[c]) / STD[c] for c in range(3)], dim=1)

    def norm(name: str, x: Tensor) -> Tensor:
        if batch_statistics:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        else:
            mean, variance = p[f"{name}.running_mean"], p[f"{name}.running_var"]
        scale = p[f"{name}.weight"] / torch.sqrt(variance + 1e-5)
        return (x - mean[:, None, None]) * scale[:, None, None] + p[f"{name}.bias"][:, None, None]

    def convolve(name: str, x: Tensor, stride: int, padding: int) -> Tensor:
        return functional.conv2d(x, p[f"{name}.weight"], stride=stride, padding=padding)

    x = norm("bn1", convolve("conv1", x, 2, 3)).clamp(min=0)
    x = functional.max_pool2d(x, 3, 2, 1)
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            y = norm(f"{name}.bn1", convolve(f"{name}.conv1", x, stride, 1)).clamp(min=0)
            y = norm(f"{name}.bn2", convolve(f"{name}.conv2", y, 1, 1))
            if stride > 1:
                x = norm(f"{name}.downsample.1", convolve(f"{name}.downsample.0", x, stride, 0))
            x = (x + y).clamp(min=0)
    return x.mean((2, 3)).unflatten(0, images.shape[:3])


def oracle_transformer(net: CausalTransformer, sequence: Tensor) -> Tensor:
    """One sequence (T, inputs) through the transformer, position by position and head by head."""
    p = tensors(net)
    length, width, heads = sequence.shape[0], net.config.width, net.config.heads
    size = width // heads

    def linear(name: str, x: Tensor) -> Tensor:
        return p[f"{name}.weight"] @ x + p[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean()
        return p[f"{name}.weight"] * centred / torch.sqrt((centred**2).mean() + 1e-5) + p[f"{name}.bias"]

    rows = [linear("read", sequence[t]) + p["positions.weight"][t] for t in range(length)]
    for layer in range(net.config.layers):
        block = f"blocks.{layer}"
        split = [linear(f"{block}.attention.split", norm(f"{block}.attention_norm", row)) for row in rows]
        attended = []
        for t in range(length):
            parts = []
            for head in range(heads):
                at = slice(head * size, (head + 1) * size)
                query = split[t][:width][at]
                scores = torch.stack(
                    [query @ split[s][width : 2 * width][at] / math.sqrt(size) for s in range(t + 1)]
                )
                weights = torch.exp(scores) / torch.exp(scores).sum()
                parts.append(sum(weights[s] * split[s][2 * width :][at] for s in range(t + 1)))
            attended.append(rows[t] + linear(f"{block}.attention.merge", torch.cat(parts)))
        rows = []
        for row in attended:
            hidden = linear(f"{block}.expand", norm(f"{block}.expand_norm", row))
            hidden = 0.5 * hidden * (1.0 + torch.erf(hidden / math.sqrt(2.0)))
            rows.append(row + linear(f"{block}.contract", hidden))
    return torch.stack([linear("write", norm("norm", row)) for row in rows])


def oracle_covariance(embeddings: Tensor, choice: str) -> Tensor:
    """The penalty over all embeddings (B, T, V, E) of a minibatch."""
    rows = embeddings.flatten(0, 2)
    features = rows.shape[1]
    centred = rows - rows.mean(0)
    matrix = centred.T @ centred / (rows.shape[0] - 1)
    squares = (matrix**2).sum() - (matrix.diagonal() ** 2).sum()
    return squares / {"paper": features, "released": features * (features - 1)}[choice]


def oracle_latents(dynamo: Dynamo, states: Tensor) -> Tensor:
    """What a window's states (W, E) tell about each step, (W, Z)."""
    if dynamo.config.inverse_in_ema:
        return oracle_transformer(dynamo.target_inverse, states).detach()
    return oracle_transformer(dynamo.inverse, states)


def oracle_tokens(dynamo: Dynamo, states: Tensor, latents: Tensor | None) -> list[Tensor]:
    """What the forward model reads at steps 0 to W-2 of a window."""
    steps = range(len(states) - 1)
    return {
        "full": lambda: [torch.cat([states[t], latents[t + 1]]) for t in steps],
        "no_forward": lambda: [latents[t + 1] for t in steps],
        "no_inverse": lambda: [states[t] for t in steps],
    }[dynamo.config.dynamics]()


def oracle_dynamics(dynamo: Dynamo, embeddings: Tensor, targets: Tensor) -> Tensor:
    """One less the mean cosine, averaged over views, or over ordered pairs of views."""
    config = dynamo.config
    count, ticks, views, _ = embeddings.shape
    pairs = [(j, i) for j in range(views) for i in range(views) if (i == j) == (config.pairing == "own")]
    later = 0 if config.dynamics == "no_forward" else 1
    of_pairs = []
    for own, other in pairs:
        cosines = []
        for i in range(count):
            for start in range(ticks - config.window + 1):
                window = slice(start, start + config.window)
                latents = None
                if config.dynamics != "no_inverse":
                    latents = oracle_latents(dynamo, embeddings[i, window, other])
                tokens = oracle_tokens(dynamo, embeddings[i, window, own], latents)
                predicted = oracle_transformer(dynamo.forward_model, torch.stack(tokens))
                for t in range(config.window - 1):
                    goal = targets[i, start + t + later, own]
                    cosines.append(predicted[t] @ goal / (predicted[t].norm() * goal.norm()))
        of_pairs.append(1.0 - sum(cosines) / len(cosines))
    return sum(of_pairs) / len(of_pairs)


def oracle_loss(dynamo: Dynamo, batch: Tensor) -> Tensor:
    """The loss of segments (B, T, V, H, W, 3) as the facts state it."""
    config: Mapping[str, object] = vars(dynamo.config)
    embeddings = oracle_encoder(dynamo.encoder, batch, batch_statistics=True)
    targets = {
        "simsiam": lambda: embeddings.detach(),
        "ema": lambda: oracle_encoder(dynamo.target_encoder, batch, batch_statistics=False).detach(),
        "live": lambda: embeddings,
    }[config["target"]]()
    penalty = oracle_covariance(embeddings, config["covariance"])
    return oracle_dynamics(dynamo, embeddings, targets) + config["covariance_weight"] * penalty


def oracle_action_error(
    dynamo: nn.Module, embeddings: Tensor, actions: Tensor, predict: Callable[[Tensor], list[Tensor]]
) -> Tensor:
    """The mean squared error of what `predict` says of each window's states about its first W-1 actions."""
    count, ticks, views, _ = embeddings.shape
    window = dynamo.config.window
    squares = []
    for view in range(views):
        for i in range(count):
            for start in range(ticks - window + 1):
                predicted = predict(embeddings[i, start : start + window, view])
                squares += [(predicted[t] - actions[i, start + t]) ** 2 for t in range(window - 1)]
    return torch.cat(squares).mean()


def oracle_inverse_dynamics(objective: InverseDynamics, batch: Tensor, actions: Tensor) -> Tensor:
    """The loss of an inverse model that predicts actions."""
    config = objective.config
    embeddings = oracle_encoder(objective.encoder, batch, batch_statistics=True)

    def predict(states: Tensor) -> list[Tensor]:
        outputs = oracle_transformer(objective.inverse, states)
        return [outputs[t + 1] for t in range(len(states) - 1)]

    error = oracle_action_error(objective, embeddings, actions, predict)
    penalty = oracle_covariance(embeddings, config.covariance)
    return config.action_weight * error + config.covariance_weight * penalty


def oracle_dynamo_actions(objective: DynamoActions, batch: Tensor, actions: Tensor) -> Tensor:
    """The loss of DynaMo with a perceptron that predicts actions from latents."""
    embeddings = oracle_encoder(objective.encoder, batch, batch_statistics=True)
    p = tensors(objective.head)

    def predict(states: Tensor) -> list[Tensor]:
        latents = oracle_latents(objective, states)
        found = []
        for t in range(len(states) - 1):
            hidden = (p["0.weight"] @ latents[t + 1] + p["0.bias"]).clamp(min=0)
            hidden = (p["2.weight"] @ hidden + p["2.bias"]).clamp(min=0)
            found.append(p["4.weight"] @ hidden + p["4.bias"])
        return found

    error = oracle_action_error(objective, embeddings, actions, predict)
    return oracle_loss(objective, batch) + objective.config.action_weight * error
