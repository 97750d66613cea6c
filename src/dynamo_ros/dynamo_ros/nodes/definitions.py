"""Message types by name: their classes, and definitions of those that ROS 2 Jazzy does not ship, for bags."""

from __future__ import annotations

import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_path
from rosidl_runtime_py.utilities import get_message

from dynamo_policies.storage import typestore
from dynamo_ros.core.bag_topics import RecordingError

FIELD = re.compile(r"^\s*([A-Za-z][\w/]*)")
LINE = "=" * 80
PRIMITIVES = {
    *("bool", "byte", "char", "float32", "float64", "string", "wstring"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}


def message_class(type_name: str) -> type:
    """Return the class of a message type.

    Raises:
        RecordingError: no package installed has it.
    """
    try:
        found: type = get_message(type_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RecordingError(f"type {type_name!r} is not installed here: {error}") from error
    return found


def definition_of(type_name: str) -> str | None:
    """Return the .msg text with those of the types in it behind; None for a type that Jazzy ships.

    Raises:
        RecordingError: no package installed has it.
    """
    if type_name in typestore().types:
        return None
    parts, waiting, done = [], [type_name], {type_name}
    while waiting:
        name = waiting.pop(0)
        text = _text(name)
        parts.append(text if name == type_name else f"{LINE}\nMSG: {name.replace('/msg/', '/')}\n{text}")
        new = [inner for inner in _types_in(name, text) if inner not in done]
        waiting += new
        done.update(new)
    return "\n".join(parts)


def _text(name: str) -> str:
    package, kind, short = name.split("/")
    try:
        return _share(package).joinpath(kind, f"{short}.msg").read_text(encoding="utf-8")
    except OSError as error:
        raise RecordingError(
            f"type {name!r} has no definition: {error.strerror}: {error.filename}"
        ) from error


def _share(package: str) -> Path:
    try:
        return get_package_share_path(package)
    except (PackageNotFoundError, ValueError) as error:
        raise RecordingError(
            f"package {package!r} is not installed here, so its types are not known"
        ) from error


def _types_in(name: str, text: str) -> list[str]:
    """Return the types of the fields that are no primitives and that Jazzy ships not."""
    package, found = name.split("/")[0], []
    for line in text.splitlines():
        match = FIELD.match(line.split("#", 1)[0])
        if match is None or match.group(1) in PRIMITIVES:
            continue
        *where, short = match.group(1).split("/")
        full = f"{where[0] if where else package}/msg/{short}"
        if full == "std_msgs/msg/Header" or full in typestore().types or match.group(1) == "Header":
            continue
        found.append(full)
    return found
