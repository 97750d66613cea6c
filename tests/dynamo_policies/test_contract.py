"""Contracts: what they accept, what they refuse and how they are told apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_policies.contract import Contract, ContractMismatchError, differing, load_contract, parse_contract
from dynamo_policies.errors import ConfigError, UnknownNameError
from dynamo_policies.hand_sink import HAND_JOINTS
from dynamo_policies.sinks import ARM_SINKS
from dynamo_policies.streams import JointStream
from dynamo_policies.timing import TimingLimits

ROBOTS = Path(__file__).parents[2] / "config" / "robots"


def changed(contract: Contract, path: str, value: Any) -> str:
    """Return the contract's YAML with the value at the dotted `path` replaced."""
    plain = contract.to_dict()
    *folders, key = path.split(".")
    place = plain
    for folder in folders:
        place = place[folder]
    place[key] = value
    return yaml.safe_dump(plain, sort_keys=False)


@pytest.mark.parametrize("path", sorted(ROBOTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_contract_survives_being_written_and_read(path: Path) -> None:
    contract = load_contract(path)
    again = parse_contract(contract.to_yaml())
    assert again == contract
    assert again.hash == contract.hash


def test_every_driver_has_a_contract_that_is_shipped() -> None:
    robots = [load_contract(path) for path in ROBOTS.glob("*.yaml")]
    assert {robot.arm.kind for robot in robots} == set(ARM_SINKS)
    assert {robot.hand.kind for robot in robots if robot.hand is not None} == set(HAND_JOINTS)
    assert {robot.name for robot in robots} == {path.stem for path in ROBOTS.glob("*.yaml")}


@pytest.mark.parametrize("path", sorted(ROBOTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_contract_states_a_budget_that_one_missing_plan_does_not_break(path: Path) -> None:
    contract = load_contract(path)
    image_ns = max(round(1e9 / stream.rate_hz) for stream in contract.cameras.values())
    # A plan is commanded from the command after its observation on, until the plan after the missing one.
    wait_ns = -(-contract.settle_ns // contract.arm.period_ns) * contract.arm.period_ns
    steady_ns = image_ns + wait_ns + contract.period_ns
    assert contract.timing.capture_to_command_ms is not None
    assert steady_ns + contract.period_ns < contract.budget_ns
    assert contract.budget_ns < contract.gates.plan.periods * contract.period_ns


def test_the_hash_follows_values_alone(contract: Contract) -> None:
    text = (ROBOTS / "xarm_kitchen.yaml").read_text()
    loaded = yaml.safe_load(text)
    reordered = yaml.safe_dump(dict(reversed(loaded.items())), sort_keys=False)
    assert parse_contract(text + "# a comment\n").hash == contract.hash
    assert parse_contract(reordered).hash == contract.hash
    assert replace(contract, settle_ms=26.0).hash != contract.hash


def test_the_order_of_streams_counts(contract: Contract) -> None:
    other = replace(contract, streams=dict(reversed(contract.streams.items())))
    assert other.hash != contract.hash
    with pytest.raises(ContractMismatchError, match=r"order of streams: \['target_gripper', .* instead of"):
        raise ContractMismatchError("bag", other, contract)


def test_a_mismatch_names_each_value_that_differs(contract: Contract) -> None:
    other = replace(contract, settle_ms=26.0, arm=replace(contract.arm, speed_m_s=0.4))
    with pytest.raises(
        ContractMismatchError, match=r"b: .*settle_ms: 26\.0 .* 25\.0; arm\.speed_m_s: 0\.4 .* 0\.5"
    ):
        raise ContractMismatchError("b", other, contract)
    assert differing({"a": 1}, {"b": 1}) == ["a: 1 instead of None", "b: None instead of 1"]


def test_what_is_observed_is_in_contract_order(contract: Contract) -> None:
    assert list(contract.observed) == ["fixed", "wrist", "arm", "gripper"]
    assert list(contract.cameras) == ["fixed", "wrist"]
    assert contract.state_names == (*(f"joint{i}" for i in range(1, 8)), "drive_joint")
    assert contract.period_ns == 100_000_000
    assert contract.settle_ns == 25_000_000
    assert contract.streams["gripper"].max_age_ns is None


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("policy_rate_hz", 0, r"policy_rate_hz 0 is impossible; possible is 0 < policy_rate_hz <= 1000"),
        ("policy_rate_hz", 40, "impossible with camera 'fixed' at 30 Hz; at most 30 is possible"),
        ("policy_rate_hz", "ten", "'ten', which is not float"),
        ("policy_rate_hz", float("nan"), "nan, which is not a finite number"),
        ("arm.rate_hz", 5, r"arm\.rate_hz 5 is below policy_rate_hz 10"),
        ("arm.velocity_rad_s", [2.0], "velocity_rad_s has 1 values where 7 are needed"),
        ("arm.workspace_lower_m", [0.9, 0, 0], r"workspace_lower_m\[0\] 0\.9 is not below"),
        ("arm.lower_rad", [float("nan")] * 7, "nan, which is not a finite number"),
        ("arm.speed_m_s", -0.1, "speed_m_s"),
        ("gripper.open_below", 0.7, r"must lie in 0\.\.1 in this order"),
        ("streams.fixed.topic", "camera", "topic 'camera' is not absolute; write '/camera'"),
        ("streams.fixed.max_age_ms", 10, r"shorter than one period at 30 Hz; at least 33\.3333 is possible"),
        ("streams.fixed.encoding", "rgb", "encoding 'rgb' is unknown; did you mean 'rgb8'"),
        ("streams.fixed.encoding", "16UC1", "can't be observed, only rgb8.*with role extra"),
        ("streams.fixed.width", 0, "image size 0x128 is not positive"),
        ("streams.fixed.depth", 0, "depth 0 is below 1"),
        ("streams.fixed.kind", "picture", "kind 'picture' is unknown"),
        (
            "streams.fixed.topic",
            "/xarm/joint_states",
            "'fixed' and 'arm' both read topic '/xarm/joint_states'",
        ),
        ("streams.fixed.colour", 1, "key 'colour' is unknown"),
        ("streams.arm.joints", ["joint1", "joint1"], "each once"),
        ("streams.gripper.joints", ["joint1"], "'arm' and 'gripper' both read topic"),
        ("streams.arm.role", "listener", "'listener' is unknown"),
        ("proprioception", ["hand"], "observed stream of joints 'hand' is unknown"),
        ("proprioception", ["fixed"], r"'fixed' is unknown.*known: arm, gripper"),
        ("proprioception", ["target_gripper"], r"known: arm, gripper"),
        ("reference_rotation", [1.0], "reference_rotation has 1 values where 4 are needed"),
        ("tasks", {}, "tasks is empty"),
        ("tasks.put_yogurt", {"prompt": "put"}, "missing time_limit_s"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_could(
    contract: Contract, path: str, value: Any, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_contract(changed(contract, path, value))


def test_a_third_stream_of_one_topic_is_held_against_all_others(contract: Contract) -> None:
    again = JointStream(topic="/xarm/joint_states", rate_hz=2, max_age_ms=None, joints=("drive_joint",))
    with pytest.raises(ConfigError, match="'gripper' and 'again' both read"):
        replace(contract, streams={**contract.streams, "again": again})


def test_an_unknown_task_names_the_known_ones(contract: Contract) -> None:
    assert contract.task("put_yogurt").time_limit_s == 22
    with pytest.raises(
        UnknownNameError, match=r"task 'put' is unknown.* \(known: fetch_yogurt, put_yogurt\)"
    ):
        contract.task("put")


def test_the_budget_of_a_command_is_the_contracts_or_what_the_plan_gate_waits(contract: Contract) -> None:
    silent = replace(contract, timing=TimingLimits())
    assert silent.budget_ns == contract.gates.plan.periods * contract.period_ns
    given = replace(contract, timing=TimingLimits(capture_to_command_ms=80.0))
    assert given.budget_ns == 80_000_000
    assert given.hash == contract.hash
    with pytest.raises(ConfigError, match="capture_to_command_ms is -1; it must be positive"):
        TimingLimits(capture_to_command_ms=-1.0)
