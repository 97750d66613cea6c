"""Bags that were cut off or damaged, repaired: what is left of them, as a complete bag.

The recorder builds a bag in a hidden folder `.NAME.part`, which holds what the episode is (`about.json`) and
the MCAP file (`NAME/NAME.mcap`). A bag in its place may be damaged too: half copied, or by another recorder
that died. The repaired bag takes the name; what it was made of is kept as `.NAME.damaged` beside it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dynamo_policies.bag_copy import OF_ALL_MESSAGES, BagCopy, sync_path, to_copy
from dynamo_policies.bags import BagError
from dynamo_policies.contract import Contract
from dynamo_policies.damaged import ABOUT, Damaged, find_damaged, look_at
from dynamo_policies.errors import DynamoError
from dynamo_policies.mcap import open_file
from dynamo_policies.mcap_reader import Found, Losses, read, salvage
from dynamo_policies.storage import committed

__all__ = ["ABOUT", "Repaired", "find_damaged", "repair"]

REMARK = "repaired: the recording was cut off or damaged"


class Repaired(NamedTuple):
    """What a repair kept and what was lost, as far as the damaged bag tells."""

    path: Path
    original: Path
    kept: dict[str, int]  # topic -> messages
    lost: dict[str, int]  # topic -> messages known to be lost
    lost_bytes: int  # of records that are not whole
    lost_s: float  # at the end
    complete: bool  # How much there was is known, so that nothing else is missing.

    def __str__(self) -> str:
        lost = ", ".join(f"{count} on {topic}" for topic, count in sorted(self.lost.items()))
        rest = "" if self.complete else "; what was not yet on the disk is not known"
        return (
            f"{self.path}: {sum(self.kept.values())} messages kept; lost: {lost or 'no message known of'}, "
            f"{self.lost_bytes} bytes of cut records, {self.lost_s:.2f} s at the end{rest}. "
            f"The damaged bag is kept as {self.original}"
        )


class Summary(NamedTuple):
    """Messages, whatever their order: how many, until when, and a checksum of all their bytes."""

    counts: Counter[str]
    end_ns: int
    checksum: int


def repair(path: Path | str, contract: Contract | None = None, *, task: str = "") -> Repaired:
    """Make a complete bag of the unfinished recording or damaged bag at `path`; see `Repaired`.

    `contract` and `task` are for a bag that has lost its own. Where anything fails, `path` is as it was.

    Raises:
        BagError: it is still being recorded, nothing of it can be read, or the bag's place is taken.
    """
    with look_at(Path(path), contract, task) as damaged:
        if damaged.place != damaged.origin and damaged.place.exists():
            raise BagError(path, f"can't be repaired to {damaged.place}, which exists")
        building = damaged.place.parent / f".{damaged.place.name}.repairing"
        try:
            shutil.rmtree(building, ignore_errors=True)
            losses, kept = _write(damaged, building / damaged.place.name)
            _verify(damaged, building / damaged.place.name, kept)
            aside = _swap(damaged, building / damaged.place.name)
        except (OSError, DynamoError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise BagError(path, f"can't be repaired and is left as it was: {reason}") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return _report(damaged, aside, kept, losses)


def _write(damaged: Damaged, bag: Path) -> tuple[Losses, Summary]:
    known = {key: text for key, text in damaged.custom.items() if key not in OF_ALL_MESSAGES}
    custom = {"outcome": "unknown", "dropped": "{}", **known}
    custom["note"] = "; ".join(text for text in (custom.get("note", ""), REMARK) if text)
    losses = Losses()
    bag.parent.mkdir()
    with BagCopy(bag, custom) as copy:
        kept = _summary(_copied(copy, _salvaged(damaged, losses)))
        if losses.complete and not losses.bytes and Counter(damaged.counts) == kept.counts:
            copy.custom |= {key: damaged.custom[key] for key in OF_ALL_MESSAGES if key in damaged.custom}
        return losses, kept


def _copied(copy: BagCopy, messages: Iterable[Found]) -> Iterator[Found]:
    for found in messages:
        copy.write(to_copy(found))
        yield found


def _salvaged(damaged: Damaged, losses: Losses) -> Iterator[Found]:
    for file in damaged.files:
        if file.suffix == ".db3":
            yield from committed(file)
            losses.complete = True
        else:
            yield from salvage(open_file(file), losses)


def _verify(damaged: Damaged, bag: Path, kept: Summary) -> None:
    """Read the repaired bag back: its messages must be those that were kept, byte by byte."""
    written = _summary(read(open_file(bag / f"{bag.name}.mcap"), lambda _channel: True))
    if written != kept:
        raise BagError(damaged.origin, "the repaired bag differs from what was read")


def _summary(messages: Iterable[Found]) -> Summary:
    counts: Counter[str] = Counter()
    end_ns = checksum = 0
    for channel, message in messages:
        counts[channel.topic] += 1
        end_ns = max(end_ns, message.receive_ns)
        digest = hashlib.blake2b(message.data, digest_size=16, key=str(message.receive_ns).encode())
        digest.update(channel.topic.encode())
        checksum = (checksum + int.from_bytes(digest.digest(), "little")) % 2**128
    return Summary(counts, end_ns, checksum)


def _swap(damaged: Damaged, bag: Path) -> Path:
    """Move the damaged bag aside and the repaired one to its place; return where the damaged one is."""
    aside = damaged.place.parent / f".{damaged.place.name}.damaged"
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f".{damaged.place.name}.damaged{number}")
    damaged.origin.rename(aside)
    try:
        bag.rename(damaged.place)
    except OSError:
        aside.rename(damaged.origin)
        raise
    sync_path(damaged.place.parent)
    return aside


def _report(damaged: Damaged, aside: Path, kept: Summary, losses: Losses) -> Repaired:
    missing = Counter(damaged.counts) - kept.counts
    lost = missing | losses.messages
    end_ns = max(losses.end_ns, damaged.end_ns)
    lost_s = max(0, end_ns - kept.end_ns) / 1e9 if kept.end_ns else 0.0
    complete = losses.complete or bool(damaged.counts)
    return Repaired(damaged.place, aside, dict(kept.counts), dict(lost), losses.bytes, lost_s, complete)
