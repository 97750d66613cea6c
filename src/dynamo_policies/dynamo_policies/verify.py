"""What is wrong with a bag, as far as the bag itself and its contract tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dynamo_policies.bags import check_contract, read_info, samples
from dynamo_policies.contract import Contract, Stream
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.errors import DynamoError

LEAST_RATE = 0.8  # of the contract's
LEAST_VALID = 0.95  # of an episode's ticks


def problems(path: Path | str, expected: Contract | None = None) -> list[str]:
    """Return one line for each thing that is wrong with the bag; every message is decoded.

    Looked at: whether the bag can be read, its contract is `expected`, messages were dropped, streams are
    slower than the contract says or pause for longer than they may, and how many ticks are valid.
    """
    try:
        info = read_info(path)
        if expected is not None:
            check_contract(info, expected)
        stamps = _stamps(path, info.contract)
        found = [
            f"{count} messages on {topic} were dropped" for topic, count in info.dropped.items() if count
        ]
        for name, stream in info.contract.streams.items():
            if stream.role != "extra":
                found += _problems_of(name, stream, stamps[name])
        return found + _problems_of_ticks(path)
    except DynamoError as error:
        return [str(error)]


def _stamps(path: Path | str, contract: Contract) -> dict[str, list[int]]:
    decoder = Decoder(contract, FrameSettings(8))
    stamps: dict[str, list[int]] = {name: [] for name in contract.streams}
    for sample in samples(path, decoder):
        stamps[sample.stream].append(sample.stamp_ns)
    return stamps


def _problems_of(name: str, stream: Stream, given: list[int]) -> list[str]:
    if not given:
        return [f"stream {name!r} has no messages"]
    stamps = np.unique(given)
    found = []
    if repeated := len(given) - len(stamps):
        found.append(f"stream {name!r} repeats {repeated} stamps")
    if stream.max_age_ms is None or len(stamps) < 2:
        return found
    rate_hz = (len(stamps) - 1) / ((stamps[-1] - stamps[0]) / 1e9)
    if rate_hz < LEAST_RATE * stream.rate_hz:
        found.append(f"stream {name!r} has {rate_hz:.1f} Hz; the contract says {stream.rate_hz:g}")
    longest_ms = float(np.diff(stamps).max()) / 1e6
    if longest_ms > stream.max_age_ms:
        found.append(
            f"stream {name!r} pauses for {longest_ms:.0f} ms; at most {stream.max_age_ms:g} is allowed"
        )
    return found


def _problems_of_ticks(path: Path | str) -> list[str]:
    episode = load_episode(path, FrameSettings(8))
    share = float(episode.valid.mean())
    if share < LEAST_VALID:
        return [f"only {share:.0%} of {len(episode)} ticks are valid"]
    return []
