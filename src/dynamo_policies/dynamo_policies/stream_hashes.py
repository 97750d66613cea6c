"""The SHA-256 of each topic's messages, which the recorder writes into a bag, held against the messages."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import Any

from dynamo_policies.bag_info import BagError, BagInfo
from dynamo_policies.storage import StorageError, as_written

KEY = "stream_hashes"


def check_hashes(info: BagInfo) -> list[str]:
    """Return one line for each topic whose messages are not those that were recorded.

    A bag without hashes, one of another recorder or recorded with `hashes:=false`, has none that differ.

    Raises:
        BagError: the hashes or the messages can't be read.
    """
    if KEY not in info.custom:
        return []
    expected, found = _recorded(info), stream_hashes(info)
    unknown = sorted(found.keys() - expected.keys())
    nothing = hashlib.sha256().hexdigest()
    return [
        f"the messages on {topic} are not those that were recorded: their SHA-256 is "
        f"{found.get(topic, nothing)[:12]}…, the recorder's {digest[:12]}…"
        for topic, digest in sorted(expected.items())
        if found.get(topic, nothing) != digest
    ] + [f"there are messages on {topic}, of which the recorder wrote no hash" for topic in unknown]


def stream_hashes(info: BagInfo) -> dict[str, str]:
    """Return topic in the file -> SHA-256, hexadecimal, of its messages' CDR bytes in the order of the file.

    Raises:
        BagError: the messages can't be read.
    """
    digests: defaultdict[str, Any] = defaultdict(hashlib.sha256)
    try:
        for topic, data in as_written(info.files, info.compression):
            digests[topic].update(data)
    except StorageError as error:
        raise BagError(info.path, f"its messages can't be read: {error}", damaged=True) from error
    return {topic: digest.hexdigest() for topic, digest in digests.items()}


def _recorded(info: BagInfo) -> dict[str, str]:
    try:
        recorded = json.loads(info.custom[KEY])
    except (ValueError, RecursionError) as error:
        raise BagError(info.path, f"its {KEY} are no JSON: {error!r}") from error
    if not isinstance(recorded, dict) or not all(isinstance(one, str) for one in recorded.values()):
        raise BagError(info.path, f"its {KEY} are not a mapping of topics to texts")
    return recorded
