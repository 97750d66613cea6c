"""What a message tells by its CDR bytes alone, without being decoded.

The layout is that of OMG DDS-XTypes, XCDR1: four bytes of encapsulation, of which the second tells the order
of bytes, then the fields in the order of the type's definition.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

import numpy as np

from dynamo_policies.errors import DynamoError
from dynamo_policies.streams import JointStream, Stream

CDR_HEADER_BYTES = 4
FRAME_ID_PLACE = CDR_HEADER_BYTES + 8  # after the seconds and nanoseconds of the stamp
SECOND_NS = 1_000_000_000
FEW = 997  # Of so many bytes one is looked at first; a prime, so that it meets all columns and colours.
Cdr: TypeAlias = "bytes | memoryview"


class CdrError(DynamoError):
    """A message is too short for what every message of its kind begins with."""


def stamp_of(cdr: Cdr) -> int:
    """Return the stamp, nanoseconds, of a message that begins with a std_msgs/Header.

    Raises:
        CdrError: the message is too short for that.
    """
    if len(cdr) < FRAME_ID_PLACE:
        raise CdrError(f"a message of {len(cdr)} bytes is too short for a header of {FRAME_ID_PLACE}")
    seconds, nanoseconds = struct.unpack_from(f"{_order(cdr)}iI", cdr, CDR_HEADER_BYTES)
    return int(seconds) * SECOND_NS + int(nanoseconds)


def names_any(stream: JointStream, cdr: Cdr) -> bool:
    """Return whether a sensor_msgs/JointState names a joint of `stream`."""
    held = bytes(cdr)
    return any(cdr_string(joint, _order(cdr)) in held for joint in stream.joints)


def concerns(stream: Stream, cdr: Cdr) -> bool:
    """Return whether a message on the stream's topic is the stream's; joints may share a topic."""
    return not isinstance(stream, JointStream) or names_any(stream, cdr)


def has_all_of(stream: Stream, cdr: Cdr) -> bool:
    """Return whether a message on the topic names all joints of `stream`; other streams own their topic."""
    if not isinstance(stream, JointStream):
        return True
    held, order = bytes(cdr), _order(cdr)  # As exact as decoding the message, and without ROS.
    return all(cdr_string(joint, order) in held for joint in stream.joints)


def cdr_string(text: str, order: str = "<") -> bytes:
    """Return `text` as it lies in a message."""
    encoded = text.encode() + b"\0"
    return struct.pack(f"{order}I", len(encoded)) + encoded


def same_but_for_the_stamp(one: Cdr, other: Cdr) -> bool:
    """Return whether two messages that begin with a std_msgs/Header differ at most in its stamp.

    A few of their bytes nearly always settle it.
    """
    if len(one) != len(other):
        return False
    left = np.frombuffer(one, np.uint8)[FRAME_ID_PLACE:]
    right = np.frombuffer(other, np.uint8)[FRAME_ID_PLACE:]
    return bool(np.array_equal(left[::FEW], right[::FEW]) and np.array_equal(left, right))


def _order(cdr: Cdr) -> str:
    return "<" if len(cdr) > 1 and cdr[1] & 1 else ">"
