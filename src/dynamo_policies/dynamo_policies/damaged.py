"""What is known of an unfinished recording or a damaged bag, before it is repaired."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dynamo_policies.bags import BagError, read_info, read_metadata
from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError

ABOUT = "about.json"
PART = ".part"


@dataclass(frozen=True)
class Damaged:
    """A bag to repair: its files, what is known of the episode, and what messages it should have."""

    place: Path  # where the repaired bag goes
    origin: Path  # the folder that is moved aside
    files: tuple[Path, ...]
    custom: dict[str, str]
    counts: dict[str, int]  # topic -> messages, empty where that is not known
    end_ns: int  # of the last message, 0 where that is not known


def find_damaged(folder: Path | str) -> list[Path]:
    """Return the unfinished recordings and damaged bags in `folder` and below; itself if it is one."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BagError(folder, "no such folder")
    if is_part(folder) or _is_damaged_bag(folder):
        return [folder]
    below = sorted(path for path in folder.rglob("*") if path.is_dir())
    shown = [path for path in below if not _hidden(path.relative_to(folder))]
    return [path for path in shown if is_part(path) or _is_damaged_bag(path)]


def find_unfinished(folder: Path | str) -> list[Path]:
    """Return those of `find_damaged` that are no bags at all, as a copy that was interrupted leaves them.

    A recording that goes on is none of them.
    """
    damaged = find_damaged(folder)
    return [path for path in damaged if not (path / "metadata.yaml").exists() and not _is_recorded(path)]


def is_part(path: Path) -> bool:
    """Whether `path` is the hidden folder of a recording that was not finished."""
    return path.name.startswith(".") and path.name.endswith(PART) and bool(_files(_inner(path)))


@contextlib.contextmanager
def look_at(path: Path, contract: Contract | None, task: str) -> Iterator[Damaged]:
    """Give what is known of `path`, and keep a recorder's lock meanwhile.

    Raises:
        BagError: it is still being recorded, or nothing that could be repaired.
    """
    given = {} if contract is None else _described(contract, task)
    if is_part(path):
        with _unlocked(path):
            # It may have its metadata already, where it was only not yet moved to its place.
            inner = _look_at_bag(_inner(path), {**given, **_about(path)})
            yield replace(inner, place=path.parent / inner.place.name, origin=path)
    elif path.is_dir() and _files(path):
        yield _look_at_bag(path, given)
    else:
        raise BagError(
            path, f"no unfinished recording; that has {ABOUT}, or files as a bag has them (.mcap, .db3)"
        )


def _look_at_bag(path: Path, given: dict[str, str]) -> Damaged:
    try:
        metadata = read_metadata(path)
    except BagError:
        metadata = {}
    counts, custom, end_ns = {}, {}, 0
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
        custom = {str(key): str(value) for key, value in (metadata.get("custom_data") or {}).items()}
        topics = metadata["topics_with_message_count"]
        counts = {str(one["topic_metadata"]["name"]): int(one["message_count"]) for one in topics}
        start_ns = int(metadata["starting_time"]["nanoseconds_since_epoch"])
        end_ns = start_ns + int(metadata["duration"]["nanoseconds"])
    return Damaged(path, path, _files(path), {**given, **custom}, counts, end_ns)


def _inner(part: Path) -> Path:
    return part / part.name.removeprefix(".").removesuffix(PART)


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(file for file in folder.glob("*") if file.suffix in (".mcap", ".db3")))


def _hidden(path: Path) -> bool:
    """Whether `path` lies in a hidden folder, or is one that is no unfinished recording."""
    hidden = [part for part in path.parts if part.startswith(".")]
    return bool(hidden) and not (len(hidden) == 1 and path.name == hidden[0] and path.name.endswith(PART))


def _is_damaged_bag(path: Path) -> bool:
    if not _files(path):
        return False
    try:
        read_info(path)
    except BagError as error:
        return error.damaged
    except DynamoError:
        return False
    return False


def _described(contract: Contract, task: str) -> dict[str, str]:
    prompt = contract.task(task).prompt if task else ""
    return {"contract": contract.to_yaml(), "contract_hash": contract.hash, "task": task, "prompt": prompt}


def _about(part: Path) -> dict[str, str]:
    """Return what the recorder put down at the start; a power loss may have left nothing of it."""
    try:
        about: Any = json.loads((part / ABOUT).read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in about.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _is_recorded(path: Path) -> bool:
    try:
        with _unlocked(path):
            return False
    except BagError:
        return True


@contextlib.contextmanager
def _unlocked(part: Path) -> Iterator[None]:
    """Hold the lock that a living recorder holds."""
    if not (part / ABOUT).is_file():
        yield
        return
    with (part / ABOUT).open() as about:
        try:
            fcntl.flock(about, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BagError(part, "is still being recorded") from error
        yield
