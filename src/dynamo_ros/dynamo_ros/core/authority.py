"""Who moves the arm, as the nodes that could tell one another, so that never two of them do."""

from __future__ import annotations

import typing
from typing import NamedTuple

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.takeover import Holder

TOPIC = "/dynamo/authority"
# Said so often, and believed for so long: a node that died does not keep the arm.
PERIOD_S, LEASE_S = 0.1, 1.0


class AuthorityError(DynamoError):
    """A message does not say who moves the arm."""


class Authority(NamedTuple):
    """Who moves the arm, through which node; as text `HOLDER NODE`."""

    holder: Holder
    node: str

    @property
    def text(self) -> str:
        """What is published."""
        return f"{self.holder} {self.node}"


def parse(text: str) -> Authority:
    """Return what a message says, AuthorityError if it says nothing."""
    holder, _, node = text.partition(" ")
    if holder not in typing.get_args(Holder) or not node:
        raise AuthorityError(
            f"{text!r} is no authority; one is 'person teleop_node' or 'nobody inference_node'"
        )
    return Authority(typing.cast("Holder", holder), node)


class Others:
    """What the other nodes say; `me` is not among them."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._until_ns: dict[str, int] = {}

    def saw(self, authority: Authority, steady_ns: int) -> None:
        """Take a message that came at `steady_ns`."""
        if authority.node == self._me:
            return
        if authority.holder == "nobody":
            self._until_ns.pop(authority.node, None)
        else:
            self._until_ns[authority.node] = steady_ns + int(LEASE_S * 1e9)

    def commanding(self, steady_ns: int) -> str:
        """Return which other node moves the arm, empty if none does."""
        return next((node for node, until_ns in self._until_ns.items() if steady_ns <= until_ns), "")
