"""A report card: the figures of one encoder, and what its pictures are drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dynamo_policies.episodes import Episode
from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import FloatArray
from dynamo_policies.probes.chunk_probe import chunk_figures
from dynamo_policies.probes.embeddings import Floats
from dynamo_policies.probes.figures import FIGURES, figure_of, unit_of
from dynamo_policies.probes.frames import Frames, IntArray, Split
from dynamo_policies.probes.held_out import held_out_figures
from dynamo_policies.probes.linear import directions
from dynamo_policies.probes.neighbours import Neighbours, nearest_of_episodes
from dynamo_policies.probes.released import released_figures
from dynamo_policies.probes.scores import Resampler, Value, difference

MAP_FRAMES = 3000
RANDOM = ("random", "random:0")  # sources of the encoder that others are compared with


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How encoders are probed; the same for all of them."""

    seed: int = 0
    draws: int = 1000
    policy_seeds: int = 3
    policy_steps: int = 400
    queries: int = 6
    neighbours: int = 4

    def __post_init__(self) -> None:
        for name in ("draws", "policy_seeds", "policy_steps", "queries", "neighbours"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} must be at least 1")


class Subject(NamedTuple):
    """An encoder as it is called in the report, and where it comes from."""

    name: str
    source: str  # folder, `random:SEED` or `blind`
    objective: str
    reference: bool  # nobody asked for it; it is there to compare with
    weights: str  # SHA-256
    seen: int  # held-out episodes that it was pretrained on


class EmbeddingMap(NamedTuple):
    """Frames in the plane of the first two principal components."""

    rows: IntArray  # (M,) of the frames
    places: FloatArray  # (M, 2)
    share: float  # of the variance that the plane holds


class Card(NamedTuple):
    """What was found out about one encoder."""

    subject: Subject
    figures: dict[str, Value]
    map: EmbeddingMap
    neighbours: tuple[Neighbours, ...]


def probe(
    subject: Subject,
    features: Sequence[Floats],
    frames: Frames,
    episodes: Sequence[Episode],
    split: Split,
    settings: ProbeSettings,
    *,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda _share: None,
) -> Card:
    """Return the card of the encoder whose `features` (T, F) of each episode are given.

    `progress(share)` is told how much is done, 0 to 1.
    """
    resampler = Resampler(split.held_out, draws=settings.draws, seed=settings.seed)
    rows = np.concatenate([one[frames.tick[frames.episode == i]] for i, one in enumerate(features)])
    if not np.isfinite(rows).all():
        raise ConfigError(f"encoder {subject.name} gives features that are not finite")
    figures = chunk_figures(
        features,
        episodes,
        split,
        resampler,
        steps=settings.policy_steps,
        seeds=range(settings.seed, settings.seed + settings.policy_seeds),
        device=device,
        progress=lambda done: progress(0.6 * done / settings.policy_seeds),
    )
    figures |= held_out_figures(rows, frames, split, resampler)
    progress(0.75)
    figures |= _of_views(rows, frames, split, resampler)
    progress(0.95)
    figures |= released_figures(rows, frames, episodes, seed=settings.seed)
    asked = gallery_queries(frames, split, settings)
    found = tuple(nearest_of_episodes(rows, frames.episode, row, settings.neighbours) for row in asked)
    progress(1.0)
    return Card(subject, _in_order(figures), embedding_map(rows), found)


def gallery_queries(frames: Frames, split: Split, settings: ProbeSettings) -> list[int]:
    """Return the rows whose neighbours are shown: of the held-out episodes in turn, from early to late."""
    random = np.random.default_rng(settings.seed)
    by_task = sorted(random.permutation(split.held_out).tolist(), key=lambda i: frames.tasks[i])
    chosen = []
    for place in range(settings.queries):
        rows = frames.of([by_task[place * len(by_task) // settings.queries]])
        low, high = place / settings.queries, (place + 1) / settings.queries
        # Stages in an order that gives each task early and late ones.
        share = random.uniform(low, high) * 2.0 % 1.0
        chosen.append(int(rows[min(len(rows) - 1, int(share * len(rows)))]))
    return chosen


def embedding_map(features: Floats) -> EmbeddingMap:
    """Return where frames lie in the plane along which features (N, F) vary most."""
    rows = np.unique(
        np.linspace(0, len(features) - 1, min(len(features), MAP_FRAMES)).round().astype(np.int64)
    )
    centred = features[rows].astype(np.float64)
    centred -= centred.mean(axis=0)
    values, vectors = directions(centred)
    plane = np.zeros((centred.shape[1], 2))
    plane[:, : min(2, len(values))] = vectors[:, ::-1][:, :2]
    # A direction's sign is arbitrary; held so that its largest entry is positive.
    plane *= np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])
    share = float(values[::-1][:2].sum() / values.sum()) if len(values) else 1.0
    return EmbeddingMap(rows, centred @ plane, share)


def card_values(
    cards: Sequence[Card], frames: Frames, split: Split, settings: ProbeSettings
) -> dict[str, Any]:
    """Return all of the report card's figures as plain values, as they are written to JSON."""
    names = list(dict.fromkeys(name for card in cards for name in card.figures))
    return {
        "contract": {"name": frames.contract.name, "hash": frames.contract.hash},
        "frames": len(frames.episode),
        "episodes": {part: [frames.names[i] for i in numbers] for part, numbers in split._asdict().items()},
        "settings": dict(vars(settings)),
        "figures": {name: _about(name, frames) for name in names},
        "encoders": [
            {
                **card.subject._asdict(),
                "figures": {name: _plain(value) for name, value in card.figures.items()},
                "less_random": {name: _plain(value) for name, value in less_random(card, cards).items()},
            }
            for card in cards
        ],
    }


def less_random(card: Card, cards: Sequence[Card]) -> dict[str, Value]:
    """Return how the figures of `card` differ from the random encoder's; none where `cards` lack it."""
    for other in cards:
        if other.subject.source in RANDOM and other is not card:
            return {
                name: difference(value, other.figures[name])
                for name, value in card.figures.items()
                if name in other.figures
            }
    return {}


def _about(name: str, frames: Frames) -> Mapping[str, Any]:
    figure = figure_of(name)
    unit = unit_of(name, frames.contract)
    about = ("meaning", "better", "role", "protocol")
    return {**{key: getattr(figure, key) for key in about}, "unit": unit}


def _plain(value: Value) -> dict[str, float | None]:
    """Return `value` as JSON can hold it: what is not a number is null."""
    return {
        key: part if part is not None and math.isfinite(part) else None
        for key, part in (("value", value.value), ("low", value.low), ("high", value.high))
    }


def _of_views(rows: Floats, frames: Frames, split: Split, resampler: Resampler) -> dict[str, Value]:
    """Return the figures of each camera's features alone; nothing where there is one camera."""
    cameras = list(frames.contract.cameras)
    if len(cameras) < 2:
        return {}
    width = rows.shape[1] // len(cameras)
    figures: dict[str, Value] = {}
    for place, camera in enumerate(cameras):
        alone = np.ascontiguousarray(rows[:, place * width : (place + 1) * width])
        found = held_out_figures(alone, frames, split, resampler)
        figures |= {f"{name}@{camera}": value for name, value in found.items()}
    return figures


def _in_order(figures: Mapping[str, Value]) -> dict[str, Value]:
    """Return `figures` in the order of the table, those of all views before those of one."""
    order = list(FIGURES)

    def place(name: str) -> tuple[bool, int]:
        return "@" in name, order.index(name.partition("@")[0].partition("/")[0])

    return {name: figures[name] for name in sorted(figures, key=place)}
