"""What is wrong with a bag, as far as the bag itself and its contract tell."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dynamo_policies.bag_quality import SMALLEST, measure_decoding
from dynamo_policies.bags import BagInfo, check_contract, read_info
from dynamo_policies.contract import Contract
from dynamo_policies.episodes import load_episode
from dynamo_policies.errors import DynamoError
from dynamo_policies.quality import StreamQuality
from dynamo_policies.stream_hashes import check_hashes
from dynamo_policies.streams import Stream

LEAST_RATE = 0.8  # of the contract's
LEAST_VALID = 0.95  # of an episode's ticks
CLOCK_STEP_MS = 500.0  # Networks and schedulers delay by less.
FROZEN_MS = 500.0  # A scene may stand still, but a camera's noise does not.


class Findings(NamedTuple):
    """One line for each thing found: what makes a bag unfit, and what a person should look at."""

    errors: list[str]
    warnings: list[str]


def verify(path: Path | str, expected: Contract | None = None) -> Findings:
    """Return what is wrong with the bag; every message is decoded.

    Errors: the bag can't be read, its contract is not `expected`, messages were dropped, are missing, or are
    not those whose hashes the recorder wrote, streams are slower than the contract says, too few ticks are
    valid. Warnings: clock jumps, repeated stamps, gaps, frozen images, a contract that is not the bag's own.
    """
    found = Findings([], [])
    try:
        info = read_info(path, expected)
        if expected is not None:
            check_contract(info, expected)
        found.errors.extend(check_hashes(info))
        measured = measure_decoding(info)
        if info.foreign:
            found.warnings.append("has no contract of its own; read by the one given")
        found.errors.extend(_missing(info, measured.counts))
        for name, quality in measured.streams.items():
            _check_stream(name, info.contract.streams[name], quality, found)
        found.errors.extend(_problems_of_ticks(path, expected))
    except DynamoError as error:
        found.errors.append(str(error))
    return found


def _missing(info: BagInfo, counts: dict[str, int]) -> list[str]:
    dropped = [f"{count} messages on {topic} were dropped" for topic, count in info.dropped.items() if count]
    topics = {stream.topic for stream in info.contract.streams.values() if stream.role != "extra"}
    return dropped + [
        f"metadata.yaml says {info.counts[topic]} messages on {topic}, the files hold {counts.get(topic, 0)}"
        for topic in sorted(topics)
        if info.counts[topic] != counts.get(topic, 0)
    ]


def _check_stream(name: str, stream: Stream, quality: StreamQuality, found: Findings) -> None:
    if not quality.messages:
        found.errors.append(f"stream {name!r} has no messages")
        return
    if quality.repeated:
        found.warnings.append(f"stream {name!r} repeats {quality.repeated} stamps")
    if quality.returns:
        found.warnings.append(
            f"stream {name!r}: stamps go back {quality.returns} times, by up to {quality.return_ms:.0f} ms"
        )
    # What holds for ever is repeated long after its stamp, at the beginning of a bag.
    repeats = stream.max_age_ms is None
    if stream.stamp == "header" and not repeats and quality.clock_step_ms > CLOCK_STEP_MS:
        found.warnings.append(
            f"stream {name!r}: its clock jumps by {quality.clock_step_ms / 1e3:.1f} s against the recorder's"
        )
    if quality.same_ms > FROZEN_MS:
        found.warnings.append(f"stream {name!r} shows the same image for {quality.same_ms:.0f} ms")
    if stream.max_age_ms is not None and quality.rate_hz < LEAST_RATE * stream.rate_hz:
        found.errors.append(
            f"stream {name!r} has {quality.rate_hz:.1f} Hz; the contract says {stream.rate_hz:g}"
        )
    if stream.max_age_ms is not None and quality.gap_ms > stream.max_age_ms:
        found.warnings.append(
            f"stream {name!r} pauses for {quality.gap_ms:.0f} ms; at most {stream.max_age_ms:g} is allowed"
        )


def _problems_of_ticks(path: Path | str, contract: Contract | None) -> list[str]:
    episode = load_episode(path, SMALLEST, contract)
    share = float(episode.valid.mean())
    if share < LEAST_VALID:
        return [f"only {share:.0%} of {len(episode)} ticks are valid"]
    return []
