"""The last commands of an episode, one a period."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from dynamo_ros.core.commander import ArmCommand, Commander
from dynamo_ros.nodes.commands import CommandPublisher, bring_to_rest
from policy_fixtures import CONTRACT, READY, SECOND
from ros_fixtures import Ros

# Slow enough for a busy computer to be in time.
SLOW = dataclasses.replace(CONTRACT, arm=dataclasses.replace(CONTRACT.arm, rate_hz=10.0))
PERIOD_NS = SLOW.arm.period_ns


class Publisher:
    """Notes what is published; the command `held_up_at` takes five periods."""

    def __init__(self, held_up_at: int = -1) -> None:
        self.published: list[ArmCommand] = []
        self.sent_ns = 0
        self._held_up_at = held_up_at

    def publish(self, command: ArmCommand, _stamp_ns: int) -> None:
        self.published.append(command)
        self.sent_ns = time.monotonic_ns()
        if len(self.published) == self._held_up_at + 1:
            time.sleep(5 * PERIOD_NS / 1e9)


@pytest.fixture
def last() -> tuple[ArmCommand, ...]:
    """The commands that brake a joint at full speed."""
    commander = Commander(SLOW)
    commander.start(READY, 0)
    commander.jog(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]), 0.0, 9 * SECOND)
    for n in range(8):
        command = commander.step(n * PERIOD_NS)
        assert command is not None
        commander.observe(command.joints, n * PERIOD_NS)
    return commander.finish()


def test_all_are_sent_in_turn(last: tuple[ArmCommand, ...]) -> None:
    publisher = Publisher()
    bring_to_rest(publisher, last, arm=SLOW.arm, now_ns=time.time_ns)
    assert publisher.published == list(last)
    assert len(last[-1].braking) == 0


def test_the_first_comes_a_period_after_the_last_of_the_motion(last: tuple[ArmCommand, ...]) -> None:
    publisher = Publisher()
    publisher.publish(last[0], 0)
    before_ns = publisher.sent_ns
    bring_to_rest(publisher, last[1:2], arm=SLOW.arm, now_ns=time.time_ns)
    assert publisher.published == list(last[:2])
    assert publisher.sent_ns - before_ns >= PERIOD_NS


def test_a_publisher_knows_when_it_sent(ros: Ros, last: tuple[ArmCommand, ...]) -> None:
    publisher, begun_ns = CommandPublisher(ros.node("commands"), CONTRACT), time.monotonic_ns()
    publisher.publish(last[0], time.time_ns())
    assert begun_ns <= publisher.sent_ns <= time.monotonic_ns()


def test_what_is_held_up_until_the_arm_brakes_itself_is_not_sent_but_waited_for(
    last: tuple[ArmCommand, ...],
) -> None:
    publisher, begun_ns = Publisher(held_up_at=0), time.monotonic_ns()
    bring_to_rest(publisher, last, arm=SLOW.arm, now_ns=time.time_ns)
    count = len(publisher.published)
    assert count == 1 < len(last)
    assert time.monotonic_ns() - begun_ns > len(publisher.published[-1].braking) * PERIOD_NS
