import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.errors import ConfigError, DynamoError
from dynamo_policies.sinks import ARM_SINKS, GRIPPER_SINKS, TrajectoryArm, of_kind

# What each kind needs besides the limits, and what it can't do without.
ARMS: Mapping[str, dict[str, Any]] = {
    "joint_trajectory": {"topic": "/arm/joint_trajectory"},
    "servo_joint": {"rate_hz": 100.0},
    "cartesian_servo": {"speed_m_s": 0.25, "rate_hz": 50.0},
    "cartesian_online": {"rate_hz": 10.0, "stop": "hold_and_disable"},
    "cartesian_velocity": {},
    "joint_velocity": {},
    "servo_twist": {"command_in_type": "unitless"},
    "servo_jog": {},
}


def with_arm(contract: Contract, **changes: object) -> Contract:
    """Return the contract with other keys of the arm; those of joint trajectories are left out."""
    plain = contract.to_dict()
    plain["arm"] = {**{key: value for key, value in plain["arm"].items() if key != "topic"}, **changes}
    return parse_contract(yaml.safe_dump(plain, sort_keys=False))


@pytest.mark.parametrize("kind", ARM_SINKS)
def test_each_kind_of_arm_is_read_and_written(contract: Contract, kind: str) -> None:
    read = with_arm(contract, kind=kind, **ARMS[kind])
    assert type(read.arm) is ARM_SINKS[kind]
    assert read.arm.velocity_rad_s == contract.arm.velocity_rad_s
    assert parse_contract(read.to_yaml()) == read


@pytest.mark.parametrize(
    ("kind", "place"), [("gripper_command", "action"), ("xarm_gripper_service", "namespace")]
)
def test_each_kind_of_gripper_is_read_and_written(contract: Contract, kind: str, place: str) -> None:
    plain = contract.to_dict()
    del plain["gripper"]["action"]
    plain["gripper"] |= {"kind": kind, place: "/gripper"}
    read = parse_contract(yaml.safe_dump(plain, sort_keys=False))
    assert type(read.gripper) is GRIPPER_SINKS[kind]
    assert parse_contract(read.to_yaml()) == read


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "servo_joints"}, "kind 'servo_joints'.*did you mean 'servo_joint'"),
        ({"kind": "servo_joint", "topic": "/arm"}, "arm: key 'topic'"),
        ({"kind": "joint_trajectory"}, "arm: missing topic"),
        (
            {"kind": "servo_joint", "rate_hz": 50.0},
            "velocity_rad_s 2 at 50 Hz is 0.04 a command, beyond step_rad",
        ),
        (
            {"kind": "cartesian_servo", "step_m": 0.01},
            "step_m 0.01 is impossible; possible is less than 0.01",
        ),
        (
            {"kind": "cartesian_servo", "rate_hz": 50.0},
            "speed_m_s 0.5 at 50 Hz is 0.01 a command.*at most 0.45",
        ),
        ({"kind": "cartesian_velocity", "duration_s": 0.03}, "duration_s 0.03 is shorter than two periods"),
        (
            {"kind": "joint_velocity", "gain_hz": 20.0},
            "gain_hz 20 is impossible at 50 Hz; possible is 0 to 12.5",
        ),
        ({"kind": "servo_twist", "stop": "hold_and_disable"}, "stop 'hold_and_disable' is impossible"),
        ({"kind": "servo_joint", "failure_stop_s": 0.0}, "failure_stop_s is 0; it must be positive"),
    ],
)
def test_an_impossible_arm_is_refused_with_what_is_possible(
    contract: Contract, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DynamoError, match=message):
        with_arm(contract, **changes)


def test_an_arm_without_a_kind_is_told_the_kinds(contract: Contract) -> None:
    plain = contract.to_dict()
    del plain["arm"]["kind"]
    with pytest.raises(ConfigError, match="arm needs a kind, one of joint_trajectory, servo_joint"):
        parse_contract(yaml.safe_dump(plain))


def test_who_needs_another_kind_says_which(contract: Contract) -> None:
    assert of_kind(contract.arm, TrajectoryArm, "a station") is contract.arm
    servo = with_arm(contract, kind="servo_joint", rate_hz=100.0).arm
    with pytest.raises(ConfigError, match="a station needs kind joint_trajectory; kind is 'servo_joint'"):
        of_kind(servo, TrajectoryArm, "a station")
    with pytest.raises(ConfigError, match="there is none"):
        of_kind(None, TrajectoryArm, "a station")


def test_other_limits_keep_the_kind(contract: Contract) -> None:
    assert isinstance(dataclasses.replace(contract.arm, speed_m_s=0.1), TrajectoryArm)
