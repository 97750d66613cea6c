"""From samples to commands: the whole of camera to command, without ROS and without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.align import Aligner
from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError, DynamoError, UnknownNameError
from dynamo_policies.observation import Observation, Sample, Target
from dynamo_policies.streams import JointStream
from dynamo_ros.core.chunks import ChunkBlender
from dynamo_ros.core.commander import ArmCommand, Commander, StopReason
from dynamo_ros.core.deployable import Deployable
from dynamo_ros.core.limiter import is_finite
from dynamo_ros.core.timings import Timings
from dynamo_ros.core.window import Frame, Window


class RunnerError(DynamoError):
    """A policy can't be started."""


class Episode(NamedTuple):
    """One attempt at a task, with the last observations."""

    task: str
    window: Window


class Work(NamedTuple):
    """One observation to act upon, taken from the streams and safe to hand to another thread."""

    episode: Episode
    observation: Observation


class Plan(NamedTuple):
    """What came of a Work: targets for the periods after its tick, or why there are none."""

    episode: Episode
    tick_ns: int
    targets: tuple[Target, ...]
    stale: tuple[str, ...] = ()
    fault: str | None = None  # what must stop the arm


@dataclass
class Counts:
    """What happened since `begin`."""

    planned: int = 0
    skipped: int = 0  # ticks passed over because inference was busy
    stale: int = 0  # ticks with a stale stream
    late: int = 0  # plans that came after the last of their targets


class Runner:
    """Runs one bundle. All but `infer` belongs to one thread; `infer` may run on another."""

    def __init__(self, bundle: Deployable, *, clock_ns: Callable[[], int]) -> None:
        self.contract = bundle.contract
        self._bundle = bundle
        self._aligner, self._commander = Aligner(self.contract), Commander(self.contract)
        self._blender = ChunkBlender(self.contract.period_ns)
        self._arm_entries = _entries_of_arm(self.contract)
        self._episode: Episode | None = None
        self._tick_ns = 0
        self._arm: Sample | None = None
        self._stale_since_ns: int | None = None
        self.counts, self.timings = Counts(), Timings(clock_ns)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it can do."""
        return self._bundle.tasks

    @property
    def stopped(self) -> StopReason | None:
        """Why the arm is stopped; None while it is not."""
        return self._commander.stopped

    @property
    def running(self) -> bool:
        """Whether it commands: between `begin` and `finish`, and not stopped."""
        return self._commander.started

    def begin(self, task: str, now_ns: int) -> None:
        """Start an episode of `task` where the arm is; no `infer` may be going on.

        Raises:
            UnknownNameError: the bundle was not made for `task`.
            RunnerError: there is no fresh measurement of the arm.
            StoppedError: a stop is latched.
        """
        if task not in self._bundle.tasks:
            raise UnknownNameError("task", task, self._bundle.tasks)
        self._commander.start(self._fresh_joints(now_ns), now_ns)
        self._bundle.policy.reset()
        self._episode = Episode(task, Window(self._bundle.policy.window, self.contract.period_ns))
        # The first tick is the first one at or after now.
        self._tick_ns = (
            -(-now_ns // self.contract.period_ns) * self.contract.period_ns - self.contract.period_ns
        )
        self._blender.clear()
        self._stale_since_ns, self.counts = None, Counts()

    def ready(self, now_ns: int) -> bool:
        """Return whether every observed stream is fresh, so that it makes sense to begin."""
        return not self.running and not self._aligner.observe(now_ns).stale

    def finish(self) -> ArmCommand | None:
        """End the episode; return the last command, a hold, if the arm was still commanded."""
        self._blender.clear()
        return self._commander.finish()

    def push(self, sample: Sample) -> None:
        """Take a decoded sample of any stream of the contract."""
        self._aligner.push(sample)
        if sample.stream == self.contract.arm_stream:
            self._arm = sample
            self._commander.observe(sample.value, sample.stamp_ns)

    def warm_up(self) -> None:
        """Run the networks once on nothing, so that the first tick does not take longer than the others."""
        size, window = self._bundle.frames.size, self._bundle.policy.window
        features = self._bundle.embedder.embed(
            {name: np.zeros((size, size, 3), np.uint8) for name in self.contract.cameras}
        )
        state = np.zeros((window, len(self.contract.state_names)), np.float32)
        self._bundle.policy.act(np.tile(features, (window, 1)), state, self._bundle.tasks[0])
        self._bundle.policy.reset()

    def reset_clock(self) -> None:
        """Forget all samples: the clock has jumped back."""
        self.finish()
        self._aligner.reset()
        self._arm = None

    def due(self, now_ns: int) -> Work | None:
        """Return the newest observation that is due and was not handed out, None if there is none.

        The observation of a tick is due `settle_ms` after it. Older ones that were not asked for are skipped.
        """
        period_ns = self.contract.period_ns
        tick_ns = (now_ns - self.contract.settle_ns) // period_ns * period_ns
        if self._episode is None or not self.running or tick_ns <= self._tick_ns:
            return None
        self.counts.skipped += (tick_ns - self._tick_ns) // period_ns - 1
        self._tick_ns = tick_ns
        with self.timings.measure("align"):
            return Work(self._episode, self._aligner.observe(tick_ns))

    def infer(self, work: Work) -> Plan:
        """Return the targets for an observation. Pure compute, but for the episode's window."""
        episode, (tick_ns, images, state, stale) = work
        if stale:
            return Plan(episode, tick_ns, (), stale=stale)
        with self.timings.measure("encode"):
            frame = Frame(tick_ns, self._bundle.embedder.embed(images), state)
        features, states = episode.window.add(frame)
        with self.timings.measure("policy"):
            actions = self._bundle.policy.act(features, states, episode.task)
        if not np.isfinite(actions).all():
            return Plan(episode, tick_ns, (), fault="the policy's action is not finite")
        with self.timings.measure("shape"):
            anchor = self._commander.forward(state[self._arm_entries].astype(np.float64))
            return Plan(episode, tick_ns, tuple(self._bundle.actions.decode(actions, anchor)))

    def accept(self, plan: Plan, now_ns: int) -> None:
        """Act by `plan` from now on; one of an earlier episode or whose targets are all past is dropped."""
        if plan.episode is not self._episode or not self.running:
            return
        if plan.stale:
            self._hold_for(plan)
        elif plan.fault is not None or not all(is_finite(target) for target in plan.targets):
            self._commander.stop(plan.fault or "a target of the policy is not finite", kind="non_finite")
        elif plan.tick_ns + len(plan.targets) * self.contract.period_ns < now_ns:
            self.counts.late += 1
        else:
            self._stale_since_ns = None
            self.counts.planned += 1
            self._blender.add(plan.tick_ns, plan.targets)

    def command(self, now_ns: int) -> ArmCommand | None:
        """Return the command for `now_ns`; to be called `contract.arm.rate_hz` times a second.

        Where no chunk reaches, the arm holds.
        """
        if self.running:
            at_ns = -(-now_ns // self.contract.period_ns) * self.contract.period_ns
            target = self._blender.at(at_ns)
            if target is None:
                self._commander.hold()
            else:
                self._commander.aim(target, at_ns)
        return self._commander.step(now_ns)

    def stop(self, reason: str) -> None:
        """Stop the arm until `rearm`."""
        self._commander.stop(reason)

    def rearm(self) -> None:
        """Clear the stop; nothing moves before `begin`."""
        self._commander.clear()

    def _hold_for(self, plan: Plan) -> None:
        """Hold while a stream is stale; stop once it has been for `stale_stop_s`."""
        self.counts.stale += 1
        self._blender.clear()
        self._stale_since_ns = plan.tick_ns if self._stale_since_ns is None else self._stale_since_ns
        if plan.tick_ns - self._stale_since_ns >= self.contract.arm.stale_stop_s * 1e9:
            self._commander.stop(f"stale: {', '.join(plan.stale)}", kind="stale")

    def _fresh_joints(self, now_ns: int) -> npt.NDArray[np.float64]:
        stream = self.contract.streams[self.contract.arm_stream]
        if self._arm is None:
            raise RunnerError(f"no joint positions of the arm have come on {stream.topic}")
        age_ns = now_ns - self._arm.stamp_ns
        if stream.max_age_ns is not None and age_ns > stream.max_age_ns:
            raise RunnerError(
                f"the arm's joint positions on {stream.topic} are {age_ns / 1e6:.0f} ms old; "
                f"at most {stream.max_age_ms:g} ms is possible"
            )
        return self._arm.value.astype(np.float64)


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
