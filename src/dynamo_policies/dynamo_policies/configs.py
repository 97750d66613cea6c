"""Frozen dataclasses from YAML, strictly: an unknown key, a missing key or a wrong type is an error."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.safe_yaml import load_yaml

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Kinds:
    """Marks a field whose class follows from its `kind`: Annotated[Base, Kinds({kind: class})]."""

    classes: Mapping[str, type[Any]]


# A number to YAML 1.2 and to people, text to PyYAML: `1e-4` has neither a point nor, as in `1.0e5`, a sign.
EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def load_config(cls: type[T], path: Path | str) -> T:
    """Return `cls` made from the YAML file at `path`.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit `cls`.
    """
    return build(cls, read_yaml(path), where=str(path))


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Return the mapping in the YAML file at `path`, an error if there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    return parse_yaml(text, where=str(path))


def parse_yaml(text: str, *, where: str) -> dict[str, Any]:
    """Return the mapping in the YAML `text`; `where` names its place in errors."""
    try:
        loaded = load_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{where} holds {type(loaded).__name__}, not a mapping of keys to values")
    return loaded


def build(cls: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Return the dataclass `cls` filled with `values`, each checked against its annotation."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # cls is a dataclass
    for key in values:
        if key not in fields:
            raise UnknownNameError(f"{where}: key", str(key), fields)
    missing = [name for name, field in fields.items() if name not in values and _is_required(field)]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(missing)} (keys: {', '.join(fields)})")
    checked = {key: convert(hints[key], value, where=f"{where}: {key}") for key, value in values.items()}
    try:
        return cls(**checked)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def convert(hint: Any, value: Any, *, where: str) -> Any:
    """Return `value` as the annotation `hint` wants it, or raise ConfigError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _convert_kind(arguments[1].classes, value, where=where)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where=where)
    if origin is typing.Literal:
        if value not in arguments:
            raise UnknownNameError(where, str(value), [str(argument) for argument in arguments])
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} is {value!r}, not a list")
        return tuple(convert(arguments[0], item, where=f"{where}[{i}]") for i, item in enumerate(value))
    if origin in (dict, Mapping):
        return _convert_mapping(arguments[1], value, where=where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}, not a mapping")
        return build(typing.cast("type[Any]", hint), value, where=where)
    return _convert_scalar(hint, value, where=where)


def _convert_kind(table: Mapping[str, type[Any]], value: Any, *, where: str) -> Any:
    if not isinstance(value, dict) or "kind" not in value:
        raise ConfigError(f"{where} needs a kind, one of {', '.join(table)}")
    if value["kind"] not in table:
        raise UnknownNameError(f"{where}: kind", str(value["kind"]), table)
    return build(table[value["kind"]], value, where=where)


def _convert_union(arguments: tuple[Any, ...], value: Any, *, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    inner = [argument for argument in arguments if argument is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"{where}: unions other than `X | None` are not supported")
    return convert(inner[0], value, where=where)


def _convert_mapping(hint: Any, value: Any, *, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {value!r}, not a mapping")
    return {str(key): convert(hint, item, where=f"{where}.{key}") for key, item in value.items()}


def _convert_scalar(hint: Any, value: Any, *, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, str) and EXPONENT.fullmatch(value):
        value = float(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{where} is {value!r}, which is not a finite number")
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{where} is {value!r}, which is not {hint.__name__}")


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
