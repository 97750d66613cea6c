"""The baselines' losses as literal transcriptions of their formulas, written with loops.

Augmentations, encoders and transformers' blocks are those under test elsewhere; all else is written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dynamo_policies.augment import augment
from dynamo_policies.nets.vit import VisionTransformer
from dynamo_policies.objectives.byol import Byol, ByolT
from dynamo_policies.objectives.frames import as_frames, as_images, step_generator
from dynamo_policies.objectives.mae import Mae
from dynamo_policies.objectives.moco import MocoV3
from dynamo_policies.objectives.rpt import Rpt
from dynamo_policies.objectives.tcn import JITTER, TcnMv, TcnSv

SEED = 11  # of the step that is transcribed


def chance() -> torch.Generator:
    """The generator of the step."""
    torch.manual_seed(SEED)
    return step_generator()


def batch_norm(norm: nn.BatchNorm1d, rows: list[Tensor]) -> list[Tensor]:
    mean = sum(rows) / len(rows)
    variance = sum((row - mean) ** 2 for row in rows) / len(rows)
    unit = [(row - mean) / torch.sqrt(variance + 1e-5) for row in rows]
    return [one * norm.weight + norm.bias for one in unit] if norm.affine else unit


def head(net: nn.Sequential, rows: list[Tensor]) -> list[Tensor]:
    """A projector or predictor, row by row."""
    for layer in net:
        if isinstance(layer, nn.Linear):
            rows = [layer.weight @ row + (0.0 if layer.bias is None else layer.bias) for row in rows]
        elif isinstance(layer, nn.BatchNorm1d):
            rows = batch_norm(layer, rows)
        else:
            rows = [row * (row > 0) for row in rows]
    return rows


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (torch.sqrt((a * a).sum()) * torch.sqrt((b * b).sum()))


def oracle_byol(byol: Byol, batch: Tensor) -> Tensor:
    random = chance()
    first, second = batch, batch
    if isinstance(byol, ByolT):
        first, second = batch[:, :-1], batch[:, 1:]
    views = [augment(as_images(side), byol.config.augmentations, random) for side in (first, second)]
    both = as_frames(torch.cat(views))
    predicted = head(byol.predictor, head(byol.projector, list(byol.encoder(both))))
    with torch.no_grad():
        targets = head(byol.target[1], list(byol.target[0](both)))
    count = len(views[0])
    losses = [
        (2 - 2 * cosine(predicted[i], targets[count + i]))
        + (2 - 2 * cosine(predicted[count + i], targets[i]))
        for i in range(count)
    ]
    return sum(losses) / count


def oracle_moco(moco: MocoV3, batch: Tensor) -> Tensor:
    random, temperature = chance(), moco.config.temperature
    views = [as_frames(augment(as_images(batch), steps, random)) for steps in moco.config.augmentations]
    queries = [head(moco.predictor, head(moco.projector, list(moco.encoder(view)))) for view in views]
    with torch.no_grad():
        keys = [head(moco.target[1], list(moco.target[0](view))) for view in views]
    loss = torch.zeros((), dtype=torch.float64)
    for own, other in ((0, 1), (1, 0)):
        count = len(queries[own])
        for i in range(count):
            logits = [cosine(queries[own][i], keys[other][j]) / temperature for j in range(count)]
            chosen = torch.exp(logits[i]) / sum(torch.exp(logit) for logit in logits)
            loss = loss - 2 * temperature * torch.log(chosen) / count
    return loss


def oracle_rpt(rpt: Rpt, batch: Tensor) -> Tensor:
    count, ticks, views = batch.shape[:3]
    random = chance()
    shares = [0.7 + 0.2 * share for share in torch.rand(count, generator=random).tolist()]
    draws = torch.rand(count, ticks, views, generator=random)
    embeddings = rpt.encoder(batch)
    targets = embeddings.detach() if rpt.target_encoder is None else rpt.target_encoder(batch).detach()
    net, errors = rpt.transformer, []
    for i in range(count):
        tokens, hidden = [], []
        for t in range(ticks):
            for v in range(views):
                masked = draws[i, t, v].item() < shares[i]
                seen = net.read[v].weight @ embeddings[i, t, v] + net.read[v].bias
                tokens.append((net.mask_tokens[v] if masked else seen) + net.positions[t])
                hidden.append(masked)
        x = torch.stack(tokens)[None]
        for block in net.blocks:
            x = block(x)  # tested against loops with the vision transformer
        for place, masked in enumerate(hidden):
            t, v = divmod(place, views)
            if masked:
                filled = net.write[v](net.norm(x[0, place]))
                errors.append(((filled - targets[i, t, v]) ** 2).mean())
    return sum(errors) / len(errors)


def oracle_triplets(
    vectors: list[Tensor], pairs: list[tuple[int, int]], negatives: Any, margin: float
) -> Tensor:
    losses = []
    for anchor, positive in pairs:
        reach = ((vectors[anchor] - vectors[positive]) ** 2).sum()
        away = [
            ((vectors[anchor] - vectors[n]) ** 2).sum() for n in range(len(vectors)) if negatives(anchor, n)
        ]
        if not away:
            continue
        further = [distance for distance in away if distance > reach]
        chosen = min(further) if further else max(away)
        losses.append(torch.clamp(margin + reach - chosen, min=0.0))
    return sum(losses) / len(losses)


def units(tcn: Any, batch: Tensor, random: torch.Generator) -> Tensor:
    embeddings = tcn.encoder(as_frames(augment(as_images(batch), [JITTER], random)))
    rows = head(nn.Sequential(tcn.head), list(embeddings))
    return torch.stack([row / torch.sqrt((row * row).sum()) for row in rows]).view(*batch.shape[:3], -1)


def oracle_tcn_sv(tcn: TcnSv, batch: Tensor) -> Tensor:
    count, ticks, views = batch.shape[:3]
    vectors, config = units(tcn, batch, chance()), tcn.config
    places = [(i, t) for i in range(count) for t in range(ticks)]

    def negative(a: int, n: int) -> bool:
        return places[a][0] != places[n][0] or abs(places[a][1] - places[n][1]) > config.negative_radius

    pairs = [
        (a, p)
        for a in range(len(places))
        for p in range(len(places))
        if a != p
        and places[a][0] == places[p][0]
        and abs(places[a][1] - places[p][1]) <= config.positive_radius
    ]
    of_views = [
        oracle_triplets([vectors[i, t, v] for i, t in places], pairs, negative, config.margin)
        for v in range(views)
    ]
    return sum(of_views) / views


def oracle_tcn_mv(tcn: TcnMv, batch: Tensor) -> Tensor:
    count, ticks, views = batch.shape[:3]
    random = chance()
    vectors = units(tcn, batch, random)
    order = torch.rand(count, ticks, views, generator=random)
    places, kept = [], []
    for i in range(count):
        for t in range(ticks):
            by_draw = sorted(range(views), key=lambda v: order[i, t, v].item())
            for v in by_draw[:2]:
                places.append((i, t))
                kept.append(vectors[i, t, v])

    def negative(a: int, n: int) -> bool:
        if places[a] == places[n]:
            return False
        if places[a][0] != places[n][0]:
            return tcn.config.negatives == "batch"
        return abs(places[a][1] - places[n][1]) <= tcn.config.negative_window

    everything = range(len(places))
    pairs = [(a, p) for a in everything for p in everything if a != p and places[a] == places[p]]
    return oracle_triplets(kept, pairs, negative, tcn.config.margin)


def oracle_mae(mae: Mae, batch: Tensor) -> Tensor:
    random, trunk, decoder = chance(), mae.encoder.trunk, mae.decoder
    assert isinstance(trunk, VisionTransformer)
    images = augment(as_images(batch), mae.config.augmentations, random)
    normalised = mae.encoder.normalised(as_frames(images))
    count, grid, patch = len(images), trunk.grid, trunk.sizes.patch
    order = torch.rand(count, grid**2, generator=random)
    errors = []
    for n in range(count):
        pixels = [
            normalised[n, :, patch * i : patch * (i + 1), patch * j : patch * (j + 1)]
            for i in range(grid)
            for j in range(grid)
        ]
        ranked = sorted(range(grid**2), key=lambda p: order[n, p].item())
        seen = ranked[: int(grid**2 * 0.25)]
        kernel = trunk.patch_embed.proj
        tokens = [trunk.cls_token[0, 0]]
        for p in seen:
            token = (kernel.weight * pixels[p]).sum((1, 2, 3)) + kernel.bias
            tokens.append(token + trunk.pos_embed[0, 1 + p])
        x = torch.stack(tokens)[None]
        for block in trunk.blocks:
            x = block(x)
        read = decoder.read(trunk.norm(x))[0]
        slots = [read[0]] + [
            read[1 + seen.index(p)] if p in seen else decoder.mask_token[0, 0] for p in range(grid**2)
        ]
        y = torch.stack([slot + decoder.positions[0, s] for s, slot in enumerate(slots)])[None]
        for block in decoder.blocks:
            y = block(y)
        painted = decoder.write(decoder.norm(y))[0, 1:]
        for p in range(grid**2):
            if p in seen:
                continue
            goal = pixels[p].permute(1, 2, 0).reshape(-1)  # row, column, channel
            if mae.config.pixels == "patch":
                mean = goal.sum() / len(goal)
                variance = ((goal - mean) ** 2).sum() / (len(goal) - 1)
                goal = (goal - mean) / torch.sqrt(variance + 1e-6)
            errors.append(((painted[p] - goal) ** 2).sum() / len(goal))
    return sum(errors) / len(errors)


ORACLES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "byol": oracle_byol, "byol_t": oracle_byol, "moco_v3": oracle_moco, "rpt": oracle_rpt,
    "tcn_mv": oracle_tcn_mv, "tcn_sv": oracle_tcn_sv, "mae": oracle_mae,
}  # fmt: skip
