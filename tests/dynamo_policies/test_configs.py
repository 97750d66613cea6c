"""Frozen dataclasses from YAML."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from dynamo_policies.configs import build, load_config
from dynamo_policies.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Inner:
    """A part."""

    size: int


@dataclass(frozen=True)
class Config:
    """One of each kind of field."""

    rate: float
    name: str = "a"
    limits: tuple[float, ...] = (1.0,)
    mode: Literal["fast", "slow"] = "fast"
    note: str | None = None
    inner: Inner = field(default_factory=lambda: Inner(1))
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ConfigError(f"rate {self.rate:g} is negative")


@dataclass(frozen=True)
class Limits:
    """Numbers within other kinds of fields."""

    limits: tuple[float, ...]
    upper: float | None


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_every_kind_of_field_is_read(tmp_path: Path) -> None:
    text = "{rate: 2, name: b, limits: [1, 2.5], mode: slow, note: x, inner: {size: 3}, sizes: {a: 1}}"
    expected = Config(2.0, "b", (1.0, 2.5), "slow", "x", Inner(3), {"a": 1})
    assert load_config(Config, write(tmp_path, text)) == expected
    assert load_config(Config, write(tmp_path, "rate: 1")) == Config(1.0)


@pytest.mark.parametrize("text", ["1e-4", "+2E5", "-0.5e3", ".5e2", "1.e2"])
def test_a_number_with_an_exponent_need_not_have_a_point_and_a_sign(tmp_path: Path, text: str) -> None:
    config = load_config(Limits, write(tmp_path, f"{{limits: [{text}], upper: {text}}}"))
    assert config == Limits((float(text),), float(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{rate: 1, mod: fast}", r"config\.yaml: key 'mod' is unknown; did you mean 'mode'\? \(known: "),
        ("{name: a}", r"missing rate \(keys: rate, name"),
        ("{rate: -1}", r"config\.yaml: rate -1 is negative"),
        ("{rate: fast}", "rate is 'fast', which is not float"),
        ("{rate: '3'}", "rate is '3', which is not float"),
        ("{rate: 1e999}", "rate is inf, which is not a finite number"),
        ("{rate: 1e-4x}", "rate is '1e-4x', which is not float"),
        ("{rate: 1, inner: {size: 1e3}}", "inner: size is '1e3', which is not int"),
        ("{rate: true}", "rate is True, which is not float"),
        ("{rate: .nan}", "rate is nan, which is not a finite number"),
        ("{rate: 1, name: 3}", "name is 3, which is not str"),
        ("{rate: 1, limits: 3}", "limits is 3, not a list"),
        ("{rate: 1, limits: [a]}", r"limits\[0\] is 'a'"),
        ("{rate: 1, mode: quick}", r"mode 'quick' is unknown.*\(known: fast, slow\)"),
        ("{rate: 1, inner: 3}", "inner is 3, not a mapping"),
        ("{rate: 1, inner: {size: true}}", "inner: size is True, which is not int"),
        ("{rate: 1, sizes: {a: b}}", r"sizes\.a is 'b', which is not int"),
        ("[1]", "holds list, not a mapping"),
        ("{rate: [}", "is not valid YAML"),
        ("!!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_config(Config, write(tmp_path, text))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't read .*none\.yaml: No such file"):
        load_config(Config, tmp_path / "none.yaml")


def test_unknown_keys_are_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="'colour'"):
        build(Config, {"rate": 1, "colour": 2}, where="here")
