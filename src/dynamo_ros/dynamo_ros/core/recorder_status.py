"""What a recorder tells of itself."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class RecorderStatus(NamedTuple):
    """What the recorder is doing; without an episode all counts are 0."""

    task: str = ""
    path: Path | None = None
    messages: int = 0
    dropped: int = 0
    bytes: int = 0
    seconds: float = 0.0
    outcome: str = ""  # as marked so far
    waiting_bytes: int = 0
    written_bytes: int = 0
