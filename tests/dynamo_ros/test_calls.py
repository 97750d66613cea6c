"""Waiting for services."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, cast

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from dynamo_ros.nodes.calls import Caller, CallError


class Idle:
    """A node to which nothing happens."""

    going_on = True

    def spin_once(self, timeout_s: float) -> None:
        """Return at once."""


class Service:
    """A client whose requests before the one called `heard` get lost."""

    srv_name = "/node/get_state"

    def __init__(self, heard: int) -> None:
        self._heard = heard
        self.asked: list[Future[str]] = []
        self.forgotten: list[Future[str]] = []

    def service_is_ready(self) -> bool:
        return True

    def call_async(self, _request: Any) -> Future[str]:
        self.asked.append(Future())
        if len(self.asked) == self._heard:
            self.asked[-1].set_result("here")
        return self.asked[-1]

    def remove_pending_request(self, future: Future[str]) -> None:
        self.forgotten.append(future)


def test_a_request_that_gets_lost_is_made_again_and_then_forgotten() -> None:
    service = Service(heard=3)
    assert Caller(cast(Any, Idle())).ask_again(cast(Any, service), None, again_s=0.0) == "here"
    assert len(service.asked) == 3
    assert service.forgotten == service.asked[:2]


def test_a_service_that_answers_is_asked_once() -> None:
    service = Service(heard=1)
    assert Caller(cast(Any, Idle())).ask_again(cast(Any, service), None, again_s=0.0) == "here"
    assert len(service.asked) == 1


def test_what_must_not_be_done_twice_is_asked_once_and_given_up() -> None:
    service = Service(heard=2)
    with pytest.raises(CallError, match="waited 0 s in vain for an answer of /node/get_state"):
        Caller(cast(Any, Idle())).ask(cast(Any, service), None, timeout_s=0.0)
    assert len(service.asked) == 1
