"""How faults are put into a bench, and taken out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynamo_ros.faults.bench import WELL, Bench
from dynamo_ros.faults.distortions import Distortion, faithful, frozen
from dynamo_ros.faults.spoiled import Spoil, SpoilTargets, sound, sound_targets

Act = Callable[[Bench], None]


class Injection(NamedTuple):
    """A fault's beginning and its end."""

    begin: Act
    end: Act


def on(names: tuple[str, ...], make: Callable[[], Distortion]) -> Injection:
    """Distort what these sensors send."""

    def begin(bench: Bench) -> None:
        for name in names:
            bench.sensors[name].distort = make()

    def end(bench: Bench) -> None:
        for name in names:
            bench.sensors[name].distort = faithful

    return Injection(begin, end)


def freeze(name: str, field: str) -> Injection:
    """Let a sensor repeat what it told last in `field`."""

    def begin(bench: Bench) -> None:
        sensor = bench.sensors[name]
        sensor.distort = frozen(field, sensor.last)

    return Injection(begin, on((name,), lambda: faithful).end)


def spoil(make: Callable[[], Spoil]) -> Injection:
    """Spoil what the policy says."""

    def begin(bench: Bench) -> None:
        bench.policy.spoil = make()

    def end(bench: Bench) -> None:
        bench.policy.spoil = sound

    return Injection(begin, end)


def spoil_targets(make: Callable[[], SpoilTargets]) -> Injection:
    """Spoil what the policy's actions are decoded to."""

    def begin(bench: Bench) -> None:
        bench.policy.spoil_targets = make()

    def end(bench: Bench) -> None:
        bench.policy.spoil_targets = sound_targets

    return Injection(begin, end)


def setting(**values: object) -> Injection:
    """Set attributes of the bench, and back."""
    before: dict[str, object] = {}

    def begin(bench: Bench) -> None:
        before.update({name: getattr(bench, name) for name in values})
        _set(bench, values)

    return Injection(begin, lambda bench: _set(bench, before))


def robot(**values: int) -> Injection:
    """Let the arm's controller report something else."""
    return Injection(lambda bench: _set(bench, {"robot": {**WELL, **values}}), _well)


def jump(seconds: float) -> Injection:
    """Let the clock of stamps jump, for good."""

    def begin(bench: Bench) -> None:
        bench.ahead_ns += round(seconds * 1e9)

    return Injection(begin, _leave)


def stall(seconds: float) -> Injection:
    """Let the node do nothing for a while."""

    def begin(bench: Bench) -> None:
        bench.stalled_until_ns = bench.now_ns + round(seconds * 1e9)

    return Injection(begin, _leave)


def estop() -> Injection:
    """Press the e-stop, and release it."""
    return Injection(lambda bench: bench.press(pressed=True), lambda bench: bench.press(pressed=False))


def _set(bench: Bench, values: dict[str, object]) -> None:
    for name, value in values.items():
        setattr(bench, name, value)


def _well(bench: Bench) -> None:
    bench.robot = dict(WELL)


def _leave(_bench: Bench) -> None:
    """Do nothing: the cause is over by itself."""
