"""Who moves the arm, as the nodes that could tell one another, so that never two of them do."""

from __future__ import annotations

import typing
from typing import NamedTuple

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.takeover import Holder

TOPIC = "/dynamo/authority"
# Said so often, and believed for so long: a node that died does not keep the arm.
PERIOD_S, LEASE_S = 0.1, 1.0
LETS_GO = "teleop"  # in the name of a node that lets go where another one says that it wants the arm


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

    @property
    def lets_go(self) -> bool:
        """Whether it brings the arm to rest where another node says that it wants it."""
        return self.holder == "person" and LETS_GO in self.node


def parse(text: str) -> Authority:
    """Return what a message says, AuthorityError if it says nothing."""
    holder, _, node = text.partition(" ")
    if holder not in typing.get_args(Holder) or not node:
        holders = ", ".join(typing.get_args(Holder))
        raise AuthorityError(f"{text!r} is no authority; one is HOLDER NODE, HOLDER one of {holders}")
    return Authority(typing.cast("Holder", holder), node)


class Others:
    """What the other nodes say; `me` is not among them."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._said: dict[str, tuple[Authority, int]] = {}

    def saw(self, authority: Authority, steady_ns: int) -> None:
        """Take a message that came at `steady_ns`."""
        if authority.node != self._me:
            self._said[authority.node] = authority, steady_ns + int(LEASE_S * 1e9)

    def commanding(self, steady_ns: int) -> Authority | None:
        """Return who else moves the arm, None if nobody does; a policy before a person."""
        said = [one for one, until_ns in self._said.values() if steady_ns <= until_ns]
        moving = [one for one in said if one.holder != "nobody"]
        return next((one for one in moving if one.holder == "policy"), moving[0] if moving else None)
