"""Verdicts on episodes into which faults were put."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import raw_faults as faults
from bag_factory import Raw, episode_messages, write_bag
from dynamo_policies.cli.main import main
from dynamo_policies.cli.verdict import verdict_on
from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.episode_quality import QualityMeter
from dynamo_policies.errors import ConfigError
from dynamo_policies.limits import Limit, QualityLimits, worst
from dynamo_policies.verdict import Verdict, VerdictError, judge, parse_verdict, to_json

WRIST, JOINTS, TARGET = "/wrist/camera/color/image_raw", "/xarm/joint_states", "/dynamo/target_pose"
Fault = Callable[[list[Raw]], list[Raw]]


@pytest.fixture(scope="module")
def small(contract: Contract) -> Contract:
    """The contract with small images, which are quick to make."""
    tiny = {name: replace(stream, width=24, height=16) for name, stream in contract.cameras.items()}
    return replace(contract, streams=contract.streams | tiny)


@pytest.fixture(scope="module")
def messages(small: Contract) -> list[Raw]:
    return episode_messages(small, 10.0)


def verdict(contract: Contract, messages: list[Raw], lost: dict[str, int] | None = None) -> Verdict:
    meter = QualityMeter(contract)
    for raw in messages:
        meter.add(*raw)
    return judge(contract, meter.report(), lost)


def test_a_clean_episode_is_green(small: Contract, messages: list[Raw], tmp_path: Path) -> None:
    live = verdict(small, messages)
    assert str(live) == "green"
    assert verdict_on(write_bag(tmp_path / "bag", small, messages)) == live


@pytest.mark.parametrize(
    ("fault", "colour", "stream", "text"),
    [
        (lambda m: faults.slowed(m, WRIST, 2), "red", "wrist", "15.0 Hz; the contract says 30"),
        (lambda m: faults.frozen(m, WRIST, 30, 60), "red", "wrist", "frozen for 1"),
        (lambda m: faults.frozen(m, WRIST, 30, 29), "amber", "wrist", "ms while the arm moved; at most 250"),
        (lambda m: faults.with_gap(m, WRIST, 90, 6), "amber", "wrist", "a gap of 233 ms; at most 150 ms"),
        (lambda m: faults.with_gap(m, JOINTS, 300, 60), "red", "arm", "a gap of 590 ms; at most 100 ms"),
        (lambda m: faults.offset(m, WRIST, -80), "red", "wrist", "takes +80 ms against fixed"),
        (lambda m: faults.offset(m, WRIST, -40), "amber", "wrist", "takes +40 ms against fixed"),
        (lambda m: faults.offset(m, JOINTS, 300), "amber", "arm", "received -298 ms after its stamps"),
        (lambda m: faults.offset(m, JOINTS, -600_000), "red", "arm", "received 600002 ms after its stamps"),
        (lambda m: faults.without(m, WRIST), "red", "wrist", f"no messages on {WRIST}"),
        (lambda m: faults.ended_early(m, WRIST, 30), "red", "wrist", "silent for 10"),
        (lambda m: faults.shaken(m, JOINTS, 8.0), "amber", "arm", "ms of jitter, 99 % of its times below"),
        (lambda m: faults.repeated(m, WRIST, 20), "amber", "wrist", "15 stamps are repeated"),
        (lambda m: faults.with_gap(m, TARGET, 100, 150), "amber", "target_pose", "pauses for up to 3020 ms"),
        (lambda m: faults.ended_early(m, TARGET, 100), "green", "", ""),
        (lambda m: faults.slowed(m, TARGET, 2), "red", "target_pose", "25.0 Hz; the contract says 50"),
        (lambda m: faults.offset(m, TARGET, -100), "green", "", ""),
    ],
    ids=[
        "slow", "frozen", "frozen shortly", "gap", "long gap", "skewed", "slightly skewed", "clock ahead",
        "clock minutes behind", "missing", "died", "jitter", "duplicates", "let go", "let go early",
        "slow commands", "late targets",
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_stream_and_figure(
    small: Contract, messages: list[Raw], fault: Fault, colour: str, stream: str, text: str
) -> None:
    found = verdict(small, fault(messages))
    assert found.colour == colour, str(found)
    told = [(reason.colour, reason.stream) for reason in found.reasons if text in reason.text]
    assert not stream or (colour, stream) in told, str(found)
    assert {reason.stream for reason in found.reasons} <= {stream}


def test_cameras_that_do_not_look_at_the_same_time_are_named(small: Contract, messages: list[Raw]) -> None:
    slow = faults.slowed(messages, WRIST, 4)
    text = str(verdict(small, slow))
    assert "wrist: frames are 67 ms from those of fixed; at most 25 ms is good" in text


def test_an_arm_that_does_not_follow_is_named(small: Contract, messages: list[Raw]) -> None:
    found = verdict(small, faults.frozen_targets(messages, TARGET))
    assert found.colour == "amber"
    (reason,) = found.reasons
    assert reason.stream == "tool"
    assert "mm from the target 5 % of the time" in reason.text


def test_losses_of_the_recorder_count(small: Contract, messages: list[Raw]) -> None:
    assert str(verdict(small, messages, {WRIST: 1})) == (
        "amber: wrist: 1 messages lost while recording, 0.3%"
    )
    assert verdict(small, messages, {WRIST: 30}).colour == "red"


def test_a_verdict_survives_being_stored(small: Contract, messages: list[Raw]) -> None:
    meter = QualityMeter(small)
    for raw in faults.without(messages, WRIST):
        meter.add(*raw)
    quality = meter.report()
    found = judge(small, quality)
    text = to_json(found, quality)
    assert parse_verdict(text) == found
    stored = json.loads(text)
    assert stored["streams"]["wrist"]["rate_hz"] is None
    assert stored["streams"]["arm"]["rate_hz"] == 100.0
    assert (found.colour, found.reasons[0].stream) == ("red", "wrist")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"colour": "blue", "reasons": []}', '{"colour": "red", "reasons": [{"a": 1}]}']
)
def test_what_is_no_verdict_is_refused(text: str) -> None:
    with pytest.raises(VerdictError, match=r"is no verdict|none of green, amber, red"):
        parse_verdict(text)


def test_thresholds_are_the_contracts_and_single_streams(small: Contract, messages: list[Raw]) -> None:
    lenient = QualityLimits(streams={"wrist": {"rate": Limit(amber=0.4, red=0.2)}})
    slow = faults.slowed(messages, WRIST, 2)
    reasons = verdict(replace(small, quality=lenient), slow).reasons
    assert not [reason for reason in reasons if "Hz" in reason.text]
    strict = replace(small, quality=QualityLimits(gap=Limit(amber=0.1, red=None)))
    assert verdict(strict, messages).colour == "amber"


def test_thresholds_do_not_tell_contracts_apart(contract: Contract) -> None:
    strict = replace(contract, quality=QualityLimits(rate=Limit(amber=0.99, red=0.9)))
    assert parse_contract(strict.to_yaml()) == strict
    assert strict.hash == contract.hash


@pytest.mark.parametrize(
    ("quality", "problem"),
    [
        ({"rates": {"amber": 1.0, "red": 0.5}}, "quality: key 'rates' is unknown; did you mean 'rate'"),
        ({"rate": {"amber": 0.5, "red": 0.9}}, r"rate: amber 0\.5 must come before red 0\.9"),
        ({"gap": {"amber": 2.0, "red": 1.0}}, r"gap: amber 2\.0 must come before red 1\.0"),
        ({"gap": {"amber": -1.0, "red": 1.0}}, "must not be negative"),
        ({"streams": {"wrst": {}}}, "quality.streams: stream 'wrst' is unknown; did you mean 'wrist'"),
        ({"streams": {"wrist": {"speed": {"amber": 1.0, "red": 2.0}}}}, "threshold 'speed' is unknown"),
    ],
)
def test_thresholds_that_cannot_be_used_are_refused(
    contract: Contract, quality: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_contract(yaml.safe_dump(contract.to_dict() | {"quality": quality}))


def test_the_worst_colour_counts() -> None:
    assert worst(["green", "red", "amber"]) == "red"
    assert worst([]) == "green"


def test_the_command_line_tells_verdicts(
    small: Contract, messages: list[Raw], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / "good", small, messages)
    assert main(["bags", "verdict", str(tmp_path)]) == 0
    write_bag(tmp_path / "slow", small, faults.slowed(messages, WRIST, 2))
    assert main(["bags", "verdict", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "1 green, 0 amber, 1 red" in shown
    assert "wrist: 15.0 Hz; the contract says 30" in shown
    (tmp_path / "slow" / "slow.mcap").write_bytes(b"")
    assert main(["bags", "verdict", str(tmp_path)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 green, 0 amber, 0 red 1 bags can't be read" in shown
    assert "truncated or no MCAP file" in shown
