"""Two computers on one: network namespaces joined by a cable that can be cut. Needs root on Linux."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dynamo_policies.errors import DynamoError

ADDRESSES = ("10.77.0.1/24", "10.77.0.2/24")


class NetworkError(DynamoError):
    """No namespaces can be made here."""


class Cable(NamedTuple):
    """Two namespaces and the ends of the cable between them."""

    spaces: tuple[str, str]
    ends: tuple[str, str]

    def inside(self, place: int) -> list[str]:
        """Return what a command begins with that is to run in a namespace, 0 or 1."""
        return ["ip", "netns", "exec", self.spaces[place]]

    def cut(self) -> None:
        """Pull the cable."""
        ip([*self.inside(0)[1:], "ip", "link", "set", self.ends[0], "down"])

    def mend(self) -> None:
        """Put the cable in again."""
        ip([*self.inside(0)[1:], "ip", "link", "set", self.ends[0], "up"])


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """Make two namespaces with a cable between them; NetworkError where that is not possible."""
    number = os.getpid()
    made = Cable((f"faults{number}a", f"faults{number}b"), (f"fa{number}", f"fb{number}"))
    try:
        for space in made.spaces:
            ip(["netns", "add", space])
        ip(["link", "add", made.ends[0], "type", "veth", "peer", "name", made.ends[1]])
        for space, end, address in zip(made.spaces, made.ends, ADDRESSES, strict=True):
            ip(["link", "set", end, "netns", space])
            ip(["-n", space, "addr", "add", address, "dev", end])
            ip(["-n", space, "link", "set", end, "up"])
            ip(["-n", space, "link", "set", "lo", "up"])
        yield made
    finally:
        for space in made.spaces:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)


def ip(words: Sequence[str]) -> None:
    """Run `ip`; NetworkError with what it says where it fails or is not there."""
    try:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise NetworkError("there is no command `ip` (iproute2)") from error
    except subprocess.CalledProcessError as error:
        raise NetworkError(f"ip {' '.join(words)}: {error.stderr.strip()}") from error
