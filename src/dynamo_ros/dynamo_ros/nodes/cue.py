"""What an operator hears or sees when an episode begins or ends, with their eyes on the robot."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from dynamo_policies.errors import UnknownNameError

KINDS = ("bell", "text", "none")
BELLS: Mapping[str, int] = {
    "start": 1,
    "success": 2,
    "failure": 3,
    "unknown": 3,
    "discard": 3,
    "refused": 4,
    "failed": 4,
    "moment": 1,
}


class Cue:
    """Rings the terminal's bell: once at the start, twice for a success, thrice for any other end.

    Four times say that something did not go as asked: `refused`, or `failed` where the disk ended an episode.
    """

    def __init__(self, kind: str) -> None:
        """`kind`: bell (heard, and shown), text (shown alone) or none.

        Raises:
            UnknownNameError: it is none of them.
        """
        if kind not in KINDS:
            raise UnknownNameError("cue", kind, KINDS)
        self._kind = kind

    def give(self, what: str, text: str = "") -> None:
        """Tell that `what` happened."""
        if self._kind == "none":
            return
        bell = "\a" * BELLS[what] if self._kind == "bell" else ""
        sys.stderr.write(f"{bell}== {what.upper()} {text} ==\n")
        sys.stderr.flush()
