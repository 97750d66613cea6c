"""What is said about an episode after it was saved, and bags that are taken back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dynamo_policies.bag_info import read_metadata
from dynamo_ros.core.bag_files import DUMPER, write_whole
from dynamo_ros.core.bag_topics import RecordingError

SET_ASIDE = "discarded"


def annotate(bag: Path, texts: Mapping[str, str], *, note: str = "") -> None:
    """Set entries of the custom data of a complete bag, and append to its note; whole or not at all.

    Raises:
        BagError: no complete bag there.
        RecordingError: the disk refuses.
    """
    metadata: dict[str, Any] = read_metadata(bag)
    custom = {**(metadata.get("custom_data") or {}), **texts}
    if note:
        custom["note"] = "; ".join(text for text in (custom.get("note", ""), note) if text)
    metadata["custom_data"] = custom
    text = yaml.dump({"rosbag2_bagfile_information": metadata}, Dumper=DUMPER, sort_keys=False)
    try:
        write_whole(bag / "metadata.yaml", text)
    except OSError as error:
        raise RecordingError(f"{bag} can't be marked: {error.strerror}") from error


def set_aside(bag: Path) -> Path:
    """Hide a saved bag, so that nothing reads it any more, and return where it is; a person may delete it."""
    aside = bag.parent / f".{bag.name}.{SET_ASIDE}"
    try:
        return bag.rename(aside)
    except OSError as error:
        raise RecordingError(f"{bag} can't be set aside: {error.strerror}") from error
