"""In what form each topic of a contract is stored."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_policies.bag_info import COMPRESSED
from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.streams import COLOURS, ImageStream, Stream
from dynamo_ros.core.bag_topics import COMPRESSED_IMAGE, IMAGE, Topic
from dynamo_ros.core.storage_settings import StorageSettings


def resolved(settings: StorageSettings, contract: Contract) -> StorageSettings:
    """Return `settings` with topics instead of the contract's streams.

    Raises:
        ConfigError: they name a stream that is not there, or want JPEGs of what can't be one.
    """
    settings = settings.by_topic({name: stream.topic for name, stream in contract.streams.items()})
    possible = _possible(contract)
    if wrong := [topic for topic in settings.jpegs_asked_for() if topic not in possible]:
        raise ConfigError(f"per_topic wants JPEGs of {wrong[0]}; possible are {sorted(possible)}")
    return settings


def jpegs_of(contract: Contract, settings: StorageSettings) -> dict[str, str]:
    """Return topic -> topic in the bag of the cameras that are stored as JPEG."""
    possible = _possible(contract)
    return {topic: stored for topic, stored in possible.items() if settings.form_of(topic) == "jpeg"}


def described(contract: Contract, settings: StorageSettings) -> str:
    """Say how the cameras are stored, and which of them as JPEG where not all are."""
    jpegs = jpegs_of(contract, settings)
    if not jpegs:
        return "raw"
    which = "" if len(jpegs) == len(_possible(contract)) else f": {', '.join(jpegs)}"
    return f"jpeg {settings.jpeg_quality}{which}"


def stored_as(topic: Topic, jpegs: Mapping[str, str]) -> Topic:
    """Return the topic in the bag of `topic`."""
    return topic._replace(name=jpegs[topic.name], type=COMPRESSED_IMAGE) if topic.name in jpegs else topic


def _possible(contract: Contract) -> dict[str, str]:
    """Return topic -> topic in the bag of the cameras that JPEG can hold."""
    return {
        stream.topic: stream.topic + COMPRESSED for stream in contract.streams.values() if _fits_jpeg(stream)
    }


def _fits_jpeg(stream: Stream) -> bool:
    return isinstance(stream, ImageStream) and stream.type == IMAGE and stream.encoding in COLOURS
