"""The inference node, whose policies fail as a word in a file says.

`python -m dynamo_ros.nodes.faults.policy FILE --ros-args …` is the real node; only what reads a policy out of
a bundle is another. The words are `sound`, `slow`, `hangs` and those of SPOILS.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dynamo_policies.policies.base import Floats, Policy
from dynamo_policies.policies.table import POLICIES
from dynamo_ros.faults import spoiled
from dynamo_ros.faults.spoiled import Spoil
from dynamo_ros.nodes import inference_node

SPOILS: dict[str, Callable[[], Spoil]] = {
    "not_a_number": lambda: spoiled.not_a_number,
    "nothing": lambda: spoiled.no_actions,
    "raises": lambda: spoiled.raising,
    "wild": spoiled.wild,
}
SLOW_S, LOOK_S = 0.55, 0.005


class FailingPolicy:
    """`policy`, with whatever the word in the file `switch` makes of it."""

    def __init__(self, policy: Policy, switch: Path) -> None:
        self.window, self.horizon, self.space, self.record = (
            policy.window,
            policy.horizon,
            policy.space,
            policy.record,
        )
        self.reset, self.tensors = policy.reset, policy.tensors
        self._policy, self._switch = policy, switch
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
        return self._spoil(self._policy.act(features, state, task))


def main() -> int:
    """Run the node."""
    switch = Path(sys.argv[1])
    for name, kind in POLICIES.items():
        POLICIES[name] = kind._replace(load=partial(_load, kind.load, switch))
    return inference_node.main()


def _load(load: Callable[..., Policy], switch: Path, *words: Any) -> Policy:
    return FailingPolicy(load(*words), switch)


if __name__ == "__main__":
    raise SystemExit(main())
