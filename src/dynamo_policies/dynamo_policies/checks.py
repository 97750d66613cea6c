"""Checks of single values of a contract, each an error that says what is possible."""

from __future__ import annotations

from dynamo_policies.errors import ConfigError

MAX_RATE_HZ = 1000.0


def check_rate(name: str, rate_hz: float) -> None:
    """Raise ConfigError unless 0 < `rate_hz` <= 1000."""
    if not 0.0 < rate_hz <= MAX_RATE_HZ:
        raise ConfigError(f"{name} {rate_hz:g} is impossible; possible is 0 < {name} <= {MAX_RATE_HZ:g}")


def check_positive(name: str, value: float) -> None:
    """Raise ConfigError unless `value` is above 0."""
    if value <= 0.0:
        raise ConfigError(f"{name} is {value:g}; it must be positive")


def check_length(name: str, values: tuple[float, ...], length: int) -> None:
    """Raise ConfigError unless there are `length` values."""
    if len(values) != length:
        raise ConfigError(f"{name} has {len(values)} values where {length} are needed")


def check_below(low_name: str, lower: tuple[float, ...], high_name: str, upper: tuple[float, ...]) -> None:
    """Raise ConfigError unless each lower value is below its upper one."""
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if low >= high:
            raise ConfigError(f"{low_name}[{i}] {low:g} is not below {high_name}[{i}] {high:g}")
