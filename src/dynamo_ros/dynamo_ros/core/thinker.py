"""From one observation to a plan: pure compute, on whichever thread it is called."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import Pose
from dynamo_policies.streams import JointStream
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.plans import Plan, Work
from dynamo_ros.core.timings import Timings
from dynamo_ros.core.window import Frame


class Thinker:
    """Runs the networks of one bundle; `forward` gives the tool pose of the arm's joints (J,) rad."""

    def __init__(
        self, bundle: Deployable, timings: Timings, forward: Callable[[npt.NDArray[np.float64]], Pose]
    ) -> None:
        self._bundle, self._timings, self._forward = bundle, timings, forward
        self._arm_entries = _entries_of_arm(bundle.contract)

    def warm_up(self) -> None:
        """Run the networks once on nothing, so that the first tick does not take longer than the others."""
        size, window = self._bundle.frames.size, self._bundle.policy.window
        features = self._bundle.embedder.embed(
            {name: np.zeros((size, size, 3), np.uint8) for name in self._bundle.contract.cameras}
        )
        state = np.zeros((window, len(self._bundle.contract.state_names)), np.float32)
        self._bundle.policy.act(np.tile(features, (window, 1)), state, self._bundle.tasks[0])
        self._bundle.policy.reset()

    def infer(self, work: Work) -> Plan:
        """Return the targets for an observation, and which demonstration it is like."""
        episode, (tick_ns, images, state, stale) = work
        self._timings.started()
        if stale:
            return Plan(episode, tick_ns, (), stale=stale)
        with self._timings.measure("encode"):
            frame = Frame(tick_ns, self._bundle.embedder.embed(images), state)
        features, states = episode.window.add(frame)
        with self._timings.measure("policy"):
            actions = self._bundle.policy.act(features, states, episode.task)
        if not np.isfinite(actions).all():
            return Plan(episode, tick_ns, (), fault="the policy's action is not finite")
        with self._timings.measure("shape"):
            targets = tuple(self._bundle.actions.decode(actions, self._anchor(state)))
        known = self._bundle.novelty
        if known is None:
            return Plan(episode, tick_ns, targets)
        with self._timings.measure("novelty"):
            return Plan(episode, tick_ns, targets, nearest=known.nearest(frame.features))

    def _anchor(self, state: npt.NDArray[np.float32]) -> Pose:
        return self._forward(state[self._arm_entries].astype(np.float64))


def _entries_of_arm(contract: Contract) -> slice:
    """Return where an observation's state holds the arm's joints."""
    start = 0
    for name in contract.proprioception:
        stream = contract.streams[name]
        assert isinstance(stream, JointStream)
        if name == contract.arm_stream:
            return slice(start, start + len(stream.joints))
        start += len(stream.joints)
    raise ConfigError(f"proprioception {list(contract.proprioception)} must hold {contract.arm_stream!r}")
