"""What is said of an episode while it goes on, as messages of a topic in its bag."""

from __future__ import annotations

import json

from dynamo_ros.core.bag_files import Item
from dynamo_ros.core.bag_topics import Topic

EVENTS = Topic("/recorder/events", "std_msgs/msg/String")


def moment(text: str, now_ns: int) -> Item:
    """Return a moment that somebody marked, as JSON in a std_msgs/String."""
    event = json.dumps({"event": "moment", "text": text, "stamp_ns": now_ns})
    return Item(EVENTS.name, _string_cdr(event), now_ns, now_ns)


def _string_cdr(text: str) -> bytes:
    """Return a std_msgs/String, little-endian CDR."""
    encoded = text.encode() + b"\0"
    return b"\0\1\0\0" + len(encoded).to_bytes(4, "little") + encoded
