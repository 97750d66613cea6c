"""Waiting for services and events, always with an end, on the thread that spins the node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.client import Client

from dynamo_policies.errors import DynamoError
from dynamo_ros.nodes.spin import Life

# Real time for anything to answer; a station without graphics acceleration takes its time to come up.
ANSWER_S, STARTUP_S = 20.0, 60.0
RETRY_S, AGAIN_S = 0.2, 3.0
LOOK_S = 0.05


class CallError(DynamoError):
    """A service refused, nothing answered in time, or somebody interrupted."""


class Caller:
    """Calls services and waits, while everything else of the node goes on."""

    def __init__(self, alive: Life) -> None:
        self._alive = alive

    def call(self, client: Client, request: Any) -> Any:
        """Return the response of a service that agrees; CallError if it refuses or does not answer."""
        response = self.ask(client, request)
        if not response.success:
            raise CallError(f"{client.srv_name} refused: {_why(response)}")
        return response

    def call_patiently(self, client: Client, request: Any) -> Any:
        """Call a service that may not be ready to agree yet, until it does or ANSWER_S have passed."""
        deadline = time.monotonic() + ANSWER_S
        while not (response := self.ask(client, request)).success:
            if time.monotonic() > deadline:
                raise CallError(f"{client.srv_name} refused for {ANSWER_S:g} s: {_why(response)}")
            self.pause(RETRY_S)
        return response

    def ask(self, client: Client, request: Any, timeout_s: float = ANSWER_S) -> Any:
        """Return the response of a service, whatever it says; CallError if there is none."""
        self.until(client.service_is_ready, f"service {client.srv_name}", STARTUP_S)
        future = client.call_async(request)
        self.until(future.done, f"an answer of {client.srv_name}", timeout_s)
        return future.result()

    def ask_again(self, client: Client, request: Any, again_s: float = AGAIN_S) -> Any:
        """Do as `ask` does, of a service that may be asked twice, and ask it each `again_s` until it answers.

        A request right after the start of a node may get lost: this node has found the service, whose node
        has not found this one.
        """
        self.until(client.service_is_ready, f"service {client.srv_name}", STARTUP_S)
        futures = [client.call_async(request)]
        deadline = time.monotonic() + again_s

        def answered() -> bool:
            nonlocal deadline
            if any(future.done() for future in futures):
                return True
            if time.monotonic() >= deadline:
                futures.append(client.call_async(request))
                deadline = time.monotonic() + again_s
            return False

        self.until(answered, f"an answer of {client.srv_name}")
        for future in futures:
            if not future.done():
                client.remove_pending_request(future)
        return next(future.result() for future in futures if future.done())

    def pause(self, seconds: float) -> None:
        """Let `seconds` of real time pass."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, "the end of a pause", seconds + ANSWER_S)

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = ANSWER_S) -> None:
        """Wait until `condition` holds, at most `timeout_s` of real time; `what` it is, for the error."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self._alive.going_on:
                raise CallError("interrupted")
            if time.monotonic() > deadline:
                raise CallError(f"waited {timeout_s:g} s in vain for {what}")
            self._alive.spin_once(LOOK_S)


def _why(response: Any) -> str:
    return getattr(response, "message", "") or "it gave no reason"
