"""Bags cut in time and put together again."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynamo_policies.bag_copy import OF_ALL_MESSAGES, BagCopy, CopiedMessage, CopyError, messages_to_copy
from dynamo_policies.bags import BagInfo, check_contract, read_info
from dynamo_policies.bagtools.said_once import SaidOnce
from dynamo_policies.contract import Contract


def split(bag: Path | str, at_s: Sequence[float], out: Path, contract: Contract | None = None) -> list[Path]:
    """Write the parts of `bag` before, between and after `at_s`, seconds from its start, into folder `out`.

    They are called NAME_0, NAME_1, …; messages keep their bytes, stamps and times of receipt. What was said
    once and still holds is repeated at the beginning of each part, as a recorder does. `contract` is for a
    bag that has none, and is written into the parts.

    Raises:
        CopyError: a time is not within the bag, or a part exists.
        BagError: the bag can't be read.
    """
    info = read_info(bag, contract)
    cuts = sorted(at_s)
    if not cuts or cuts[0] <= 0 or cuts[-1] >= info.seconds:
        raise CopyError(f"can't split at {cuts} s; {bag} lasts from 0 to {info.seconds:.2f} s")
    ends = [info.start_ns + round(cut * 1e9) for cut in cuts] + [2**63]
    paths = [out / f"{info.path.name}_{number}" for number in range(len(ends))]
    _check_free(paths)
    out.mkdir(parents=True, exist_ok=True)
    messages = messages_to_copy(info)
    pending: CopiedMessage | None = next(messages, None)
    said, begin_ns = SaidOnce(info.contract), info.start_ns
    for number, (path, end_ns) in enumerate(zip(paths, ends, strict=True)):
        note = f"part {number + 1} of {len(paths)} of {info.path.name}"
        note += ", of which the drops are" if any(info.dropped.values()) else ""
        with BagCopy(path, {**custom_of(info, note), "started_ns": str(begin_ns)}) as copy:
            _write(copy, said.again(begin_ns))
            while pending is not None and pending.receive_ns < end_ns:
                copy.write(pending)
                said.saw(pending)
                pending = next(messages, None)
        begin_ns = end_ns
    return paths


def merge(bags: Sequence[Path | str], out: Path, contract: Contract | None = None) -> Path:
    """Write the messages of `bags`, an episode recorded in parts, into the bag `out` in order of receipt.

    What the later parts repeat of what was said once is left out.

    Raises:
        CopyError: fewer than two bags, differing tasks, or `out` exists.
        ContractMismatchError: they were recorded under different contracts.
        BagError: one can't be read.
    """
    infos = [read_info(bag, contract) for bag in bags]
    tasks = sorted({info.task for info in infos})
    if len(infos) < 2 or len(tasks) != 1:
        raise CopyError(
            f"{len(infos)} bags of the tasks {tasks} given; at least two of one task can be merged"
        )
    for info in infos[1:]:
        check_contract(info, infos[0].contract)
    _check_free([out])
    out.parent.mkdir(parents=True, exist_ok=True)
    dropped: Counter[str] = Counter()
    for info in infos:
        dropped.update(info.dropped)
    custom = custom_of(infos[-1], f"merged of {', '.join(info.path.name for info in infos)}")
    custom |= {"dropped": json.dumps(dropped), "started_ns": str(min(info.start_ns for info in infos))}
    messages = heapq.merge(*map(messages_to_copy, infos), key=lambda one: one.receive_ns)
    said = SaidOnce(infos[0].contract)
    with BagCopy(out, custom) as copy:
        _write(copy, (message for message in messages if said.saw(message)))
    return out


def custom_of(info: BagInfo, remark: str) -> dict[str, str]:
    """Return the bag's custom data for a bag made of it, with its contract and a remark in the note."""
    note = "; ".join(text for text in (info.note, remark) if text)
    contract = {"contract": info.contract.to_yaml(), "contract_hash": info.contract.hash}
    kept = {key: text for key, text in info.custom.items() if key not in OF_ALL_MESSAGES}
    return {"outcome": "unknown", **contract, **kept, "note": note}


def _write(copy: BagCopy, messages: Iterable[CopiedMessage]) -> None:
    for message in messages:
        copy.write(message)


def _check_free(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.exists():
            raise CopyError(f"{path} exists already; choose another name")
