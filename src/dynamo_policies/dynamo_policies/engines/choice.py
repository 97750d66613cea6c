"""Which engine runs the encoder: the one asked for, or the fastest here that computes the same."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import Encoder
from dynamo_policies.engines import exported, torch_engines
from dynamo_policies.engines.agreement import Bounds, Deviation, deviation, probe_images
from dynamo_policies.engines.base import Engine, EngineError, Images, Maker, Shape
from dynamo_policies.errors import UnknownNameError
from dynamo_policies.policies.base import Policy

ENGINES: dict[str, Maker] = {
    "eager": torch_engines.eager,
    "torch_bf16": torch_engines.torch_bf16,
    "compiled": torch_engines.compiled,
    "onnx": exported.Onnx,
    "openvino": exported.openvino,
    "openvino_bf16": exported.openvino_bf16,
    "graphs": torch_engines.graphs,
    "graphs_bf16": torch_engines.graphs_bf16,
}
AUTO = "auto"
# What `auto` tries. Not `compiled`: making it takes 16 to 25 s on two cores, and more for large encoders.
CANDIDATES = {
    "cpu": ("onnx", "openvino", "openvino_bf16", "torch_bf16"),
    "cuda": ("graphs", "graphs_bf16", "torch_bf16"),
}
BUDGET_S = 1.5  # for timing, the making not counted
ROUNDS = 3  # at least
GAIN = 1.1  # by how much faster than eager an engine must be to be worth another one's rounding


class Measured(NamedTuple):
    """What was found out about one engine."""

    name: str
    median_ms: float | None  # None: it can't be had
    deviation: Deviation | None
    refused: str  # why it is not chosen whatever its speed; empty: it may be

    def __str__(self) -> str:
        if self.median_ms is None or self.deviation is None:
            return f"{self.name}: {self.refused}"
        _, _, *action = self.deviation
        text = f"{self.name}: {self.median_ms:.1f} ms, features off by {self.deviation.relative:.1e}"
        text += ", actions by {:.2g} mm, {:.2g} rad, gripper {:.2g}".format(*action)
        return f"{text}; refused: {self.refused}" if self.refused else text


class Choice(NamedTuple):
    """The engine that was chosen, and what all that were tried did."""

    engine: Engine
    measured: tuple[Measured, ...]

    def __str__(self) -> str:
        return self.engine.name + (f" of [{'; '.join(map(str, self.measured))}]" if self.measured else "")


def use_engine(
    embedder: Embedder,
    name: str,
    *,
    clock_ns: Callable[[], int],
    policy: Policy | None = None,
    threads: int = 1,
) -> Choice:
    """Let `embedder` run on the engine `name` from now on, `auto` for the fastest that agrees with eager.

    Raises:
        UnknownNameError: there is no such engine.
        EngineError: the engine asked for can't be had here.
    """
    shape = Shape(views=len(embedder.cameras), device=str(embedder.device), threads=threads)
    if name == AUTO:
        choice = choose(embedder.encoder, shape, clock_ns=clock_ns, policy=policy)
    else:
        choice = Choice(make(name, embedder.encoder, shape), ())
    embedder.run_on(choice.engine, str(choice))
    return choice


def make(name: str, encoder: Encoder, shape: Shape) -> Engine:
    """Return the engine `name` for `encoder`.

    Raises:
        UnknownNameError: there is no such engine.
        EngineError: it can't be had here.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, (AUTO, *ENGINES))
    return ENGINES[name](encoder, shape)


def choose(
    encoder: Encoder,
    shape: Shape,
    *,
    clock_ns: Callable[[], int],
    policy: Policy | None = None,
    candidates: Sequence[str] | None = None,
    frames: Sequence[Images] = (),
    bounds: Bounds | None = None,
) -> Choice:
    """Return the fastest of `candidates` and eager whose results lie within `bounds` of eager's on `frames`.

    Without `frames` smooth random pictures are taken. Where a `policy` is given, its actions count as well.
    """
    if candidates is None:
        candidates = CANDIDATES[torch.device(shape.device).type]
    frames = frames or probe_images(shape, encoder.config.image_size)
    reference = ENGINES["eager"](encoder, shape)
    tried = [_try_to_make(name, encoder, shape) for name in candidates]
    made = [one for one in tried if not isinstance(one, Measured)]
    medians = time_all([reference, *made], frames, clock_ns=clock_ns)
    measured = [Measured("eager", medians["eager"], Deviation(0.0, 1.0), "")]
    for engine in made:
        found = deviation(engine, reference, frames, policy)
        broken = ", ".join((bounds or Bounds()).broken_by(found))
        measured.append(Measured(engine.name, medians[engine.name], found, broken))
    fastest = min((one for one in measured[1:] if not one.refused), key=_speed, default=measured[0])
    engines = {engine.name: engine for engine in (reference, *made)}
    worth_it = _speed(fastest) * GAIN < _speed(measured[0])
    measured += [one for one in tried if isinstance(one, Measured)]
    return Choice(engines[fastest.name if worth_it else "eager"], tuple(measured))


def time_all(
    engines: Sequence[Engine],
    frames: Sequence[Images],
    *,
    clock_ns: Callable[[], int],
    budget_s: float = BUDGET_S,
) -> Mapping[str, float]:
    """Return each engine's median time for one observation, ms; they take turns, as long as `budget_s`."""
    for engine in engines:
        engine.features(frames[0])
    taken: dict[str, list[int]] = {engine.name: [] for engine in engines}
    begun, rounds = clock_ns(), 0
    while rounds < ROUNDS or clock_ns() - begun < budget_s * 1e9:
        for engine in engines:
            before = clock_ns()
            engine.features(frames[rounds % len(frames)])
            taken[engine.name].append(clock_ns() - before)
        rounds += 1
    return {name: statistics.median(times) / 1e6 for name, times in taken.items()}


def _try_to_make(name: str, encoder: Encoder, shape: Shape) -> Engine | Measured:
    try:
        return make(name, encoder, shape)
    except EngineError as error:
        return Measured(name, None, None, error.reason)


def _speed(one: Measured) -> float:
    assert one.median_ms is not None
    return one.median_ms
