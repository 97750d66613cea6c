"""How an episode begins: where the arm is, when its driver is ready, and when nobody else moves it."""

from __future__ import annotations

from rclpy.node import Node

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.runner import Runner, RunnerError
from dynamo_ros.core.takeover import Holder
from dynamo_ros.nodes.authority import AuthorityTopic
from dynamo_ros.nodes.clocks import Clocks
from dynamo_ros.nodes.inference_parts import Parts
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.shadow import NoAuthority

# Inference takes a fraction of a second; what has not come by then hangs.
THINK_S = 5.0


class EpisodeStart:
    """Begins episodes of `runner`: at once, or as soon as what keeps it waiting is over.

    Somebody elsewhere is a reason against it, but for a person at a teleoperation node, which lets go when
    this node says that it wants the arm, and brings it to rest: that is waited for.
    """

    def __init__(
        self,
        node: Node,
        runner: Runner,
        parts: Parts,
        authority: AuthorityTopic | NoAuthority,
        clocks: Clocks,
        *,
        shadow: bool,
    ) -> None:
        self._clock, self._steady = node.get_clock(), clocks.steady
        self._runner, self._commands, self._worker = runner, parts.commands, parts.worker
        self._authority, self._shadow = authority, shadow
        self.waits = False
        self.begun_ns = 0  # when the last one began, by a steady clock

    @property
    def rival(self) -> str:
        """Who else moves the arm and does not let go; an empty text where nobody does."""
        other = self._authority.other
        return (
            "" if other is None or other.lets_go else f"a {other.holder} moves the arm through {other.node}"
        )

    @property
    def holder(self) -> Holder:
        """Whom to name as the one who moves the arm, or is about to."""
        return "policy" if self.waits else self._runner.authority

    @property
    def person_elsewhere(self) -> bool:
        """Whether a person moves the arm through another node, whose driver is to be left alone."""
        other = self._authority.other
        return other is not None and other.lets_go

    def begin(self, task: str) -> None:
        """Begin an episode of `task`, or wait; DynamoError where something is against it."""
        if self.rival:
            raise RunnerError(f"can't begin: {self.rival}")
        self.waits = self.person_elsewhere
        if not self.waits:
            if not self._commands.ready(now_ns(self._clock)):
                why = self._commands.fault()
                raise RunnerError(f"{why}; then call ~/rearm" if why else "the arm's driver is not ready yet")
            self._begin(task)
        self._authority.tell(self.holder)

    def rearm(self, task: str, *, active: bool) -> str:
        """Clear a stop, and begin anew if `active`; return what is waited for, an empty text for nothing.

        Raises:
            DynamoError: nothing is stopped, the arm has not come to rest, or something is against it.
        """
        if self._runner.running:
            raise RunnerError("nothing is stopped")
        if self._runner.moving and self._commands.ready(now_ns(self._clock)):
            raise RunnerError("the arm has to come to rest first")
        try:
            self._runner.rearm()
            self._commands.prepare()
            waits = self.person_elsewhere or not self._commands.ready(now_ns(self._clock))
            self.waits = active and waits
            if active and not waits:
                self.begin(task)
        except DynamoError as error:
            self._runner.stop(str(error))
            raise
        if not self.waits:
            return ""
        return "a person lets go first" if self.person_elsewhere else "the arm's driver is made ready first"

    def proceed(self, task: str) -> None:
        """Begin if that was waited for; stop where it can't be."""
        if not self.waits:
            return
        self.waits = False
        try:
            self.begin(task)
        except DynamoError as error:
            self._runner.stop(str(error))

    def _begin(self, task: str) -> None:
        self._worker.settle(THINK_S)
        # One moment for all: while the first action is thought of, no message is read.
        stamp_ns = now_ns(self._clock)
        first = self._worker.think(self._runner, self._runner.preview(task, stamp_ns), THINK_S)
        if not self._shadow:  # whose arm is wherever another one takes it
            self._runner.check_first(first, stamp_ns)
        self._runner.begin(task, stamp_ns)
        self.begun_ns = now_ns(self._steady)
