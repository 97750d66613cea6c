"""The verdict is there when an episode ends, and stays with its bag."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import raw_faults as faults
from bag_factory import Raw, episode_messages
from dynamo_policies.bags import read_info
from dynamo_policies.cli.verdict import verdict_on
from dynamo_policies.contract import Contract
from dynamo_policies.verdict import KEY, parse_verdict
from dynamo_ros.core.recording import EpisodeSummary, EpisodeWriter

WRIST = "/wrist/camera/color/image_raw"


@pytest.fixture(scope="module")
def small(contract: Contract) -> Contract:
    """The contract with small images, which are quick to make."""
    tiny = {name: replace(stream, width=24, height=16) for name, stream in contract.cameras.items()}
    return replace(contract, streams=contract.streams | tiny)


def recorded(path: Path, contract: Contract, messages: Sequence[Raw], lost: int = 0) -> EpisodeSummary:
    writer = EpisodeWriter(path, contract, "put_yogurt")
    for raw in messages:
        writer.write(*raw)
    writer.lost(WRIST, lost)
    return writer.close("success")


@pytest.mark.parametrize("factor", [1, 2])
def test_the_recorder_and_the_bag_come_to_the_same_verdict(
    small: Contract, tmp_path: Path, factor: int
) -> None:
    messages = faults.slowed(episode_messages(small, 4.0), WRIST, factor)
    summary = recorded(tmp_path / "bag", small, messages)
    assert summary.verdict is not None
    assert summary.verdict.colour == ("green" if factor == 1 else "red")
    stored = read_info(summary.path).custom[KEY]
    assert parse_verdict(stored) == verdict_on(summary.path) == summary.verdict
    assert json.loads(stored)["streams"]["wrist"]["rate_hz"] == pytest.approx(30.0 / factor)


def test_what_the_recorder_lost_is_in_the_verdict(small: Contract, tmp_path: Path) -> None:
    summary = recorded(tmp_path / "bag", small, episode_messages(small, 4.0), lost=1)
    assert str(summary.verdict) == "amber: wrist: 1 messages lost while recording, 0.8%"


def test_an_episode_without_messages_is_red(small: Contract, tmp_path: Path) -> None:
    summary = recorded(tmp_path / "bag", small, [])
    assert summary.verdict is not None
    assert {reason.stream for reason in summary.verdict.reasons} == set(small.streams)
