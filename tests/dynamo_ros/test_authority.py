"""Who moves the arm, as nodes tell one another."""

from __future__ import annotations

import pytest

from dynamo_ros.core.authority import LEASE_S, Authority, AuthorityError, Others, parse

NOW = 10_000_000_000
LEASE = int(LEASE_S * 1e9)
POLICY, PERSON = Authority("policy", "inference_node"), Authority("person", "teleop_node")


@pytest.mark.parametrize("authority", [POLICY, PERSON, Authority("nobody", "a_node")])
def test_what_is_said_is_understood(authority: Authority) -> None:
    assert parse(authority.text) == authority


@pytest.mark.parametrize("text", ["", "policy", "policy ", "robot inference_node"])
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(AuthorityError, match="one of nobody, policy, person"):
        parse(text)


def test_another_node_is_believed_until_it_says_nobody() -> None:
    others = Others("teleop_node")
    others.saw(POLICY, NOW)
    assert others.commanding(NOW + LEASE) == POLICY
    others.saw(Authority("nobody", "inference_node"), NOW)
    assert others.commanding(NOW) is None


def test_a_node_that_died_does_not_keep_the_arm() -> None:
    others = Others("teleop_node")
    others.saw(POLICY, NOW)
    assert others.commanding(NOW + LEASE + 1) is None


def test_one_does_not_hear_oneself() -> None:
    others = Others("teleop_node")
    others.saw(PERSON, NOW)
    assert others.commanding(NOW) is None


def test_a_policy_comes_before_a_person() -> None:
    others = Others("another_node")
    others.saw(PERSON, NOW)
    assert others.commanding(NOW) == PERSON
    others.saw(POLICY, NOW)
    assert others.commanding(NOW) == POLICY
