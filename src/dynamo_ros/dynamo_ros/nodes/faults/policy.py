"""The inference node, whose policies fail as a word in a file says.

`python -m dynamo_ros.nodes.faults.policy FILE CONTRACT --ros-args …` is the real node; only what reads a
policy out of a bundle is another. The words are `sound`, `slow`, `hangs` and those of SPOILS. A hand swings
all the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.policies.base import Floats, Policy
from dynamo_policies.policies.table import POLICIES
from dynamo_ros.faults import spoiled
from dynamo_ros.faults.circling import swung
from dynamo_ros.faults.spoiled import Spoil
from dynamo_ros.nodes import inference_node

SPOILS: dict[str, Callable[[], Spoil]] = {
    "not_a_number": lambda: spoiled.not_a_number,
    "hand_not_a_number": lambda: spoiled.hand_not_a_number,
    "nothing": lambda: spoiled.no_actions,
    "raises": lambda: spoiled.raising,
    "wild": spoiled.wild,
}
SLOW_S, LOOK_S = 0.55, 0.005
SWING_RAD_S = 1.5  # in angles of the hand's swing


class FailingPolicy:
    """`policy`, after `led`, with whatever the word in the file `switch` makes of it."""

    def __init__(self, policy: Policy, switch: Path, led: Spoil = spoiled.sound) -> None:
        self.window, self.horizon, self.space, self.record = (
            policy.window,
            policy.horizon,
            policy.space,
            policy.record,
        )
        self.reset, self.tensors = policy.reset, policy.tensors
        self._policy, self._switch, self._led = policy, switch, led
        self._word = ""
        self._spoil: Spoil = spoiled.sound

    def act(self, features: Floats, state: Floats, task: str) -> Floats:
        """Return a chunk (K, A), sooner or later."""
        while (word := self._switch.read_text()) == "hangs":
            time.sleep(LOOK_S)
        if word == "slow":
            time.sleep(SLOW_S)
        if word != self._word:
            self._word, self._spoil = word, SPOILS.get(word, lambda: spoiled.sound)()
        return self._spoil(self._led(self._policy.act(features, state, task)))


def swinging(contract: Contract) -> Spoil:
    """Return what lets the hand swing by this process's steady clock; chunks stay as they are without one."""
    if (hand := contract.hand) is None:
        return spoiled.sound

    def swing(chunk: Floats) -> Floats:
        led, period_s = chunk.copy(), contract.period_ns / 1e9
        times_s = time.monotonic() + period_s * np.arange(1, len(chunk) + 1)
        led[:, -len(hand.joints) :] = [swung(hand, SWING_RAD_S * one) for one in times_s]
        return led

    return swing


def main() -> int:
    """Run the node."""
    switch, led = Path(sys.argv[1]), swinging(load_contract(sys.argv[2]))
    for name, kind in POLICIES.items():
        POLICIES[name] = kind._replace(load=partial(_load, kind.load, switch, led))
    return inference_node.main()


def _load(load: Callable[..., Policy], switch: Path, led: Spoil, *words: Any) -> Policy:
    return FailingPolicy(load(*words), switch, led)


if __name__ == "__main__":
    raise SystemExit(main())
