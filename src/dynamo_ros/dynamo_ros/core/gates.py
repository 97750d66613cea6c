"""What may keep a policy from moving the arm: one small class for each cause, all asked the same question."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from dynamo_policies import gates as settings
from dynamo_policies.gates import Reaction
from dynamo_policies.streams import Stream


class Verdict(NamedTuple):
    """What a gate wants, and why."""

    reaction: Reaction
    text: str = ""


CLEAR = Verdict("none")


class Gate(Protocol):
    """One cause."""

    def check(self, now_ns: int, /) -> Verdict:
        """Return what it wants now; called once for each command."""

    def reset(self, now_ns: int, /) -> None:
        """Forget what belongs to the episode before; one begins now."""


class StaleGate:
    """An observed stream is too old, or stamped so far ahead that its end could not be seen."""

    def __init__(self, name: str, stream: Stream, reaction: Reaction, *, ahead_ms: float) -> None:
        self._name, self._stream, self._reaction = name, stream, reaction
        self._ahead_ns = int(ahead_ms * 1e6)
        self._newest_ns: int | None = None

    def saw(self, stamp_ns: int) -> None:
        """Take note of a sample's stamp."""
        self._newest_ns = stamp_ns if self._newest_ns is None else max(stamp_ns, self._newest_ns)

    def forget(self) -> None:
        """Know of no sample: the clock has jumped."""
        self._newest_ns = None

    def check(self, now_ns: int) -> Verdict:
        """Compare the newest stamp with the time."""
        if self._newest_ns is None:
            return Verdict(self._reaction, f"{self._name} has not been heard on {self._stream.topic}")
        age_ns = now_ns - self._newest_ns + self._stream.latency_ns
        if age_ns < -self._ahead_ns:
            return Verdict(self._reaction, f"{self._name} is stamped {-age_ns / 1e6:.0f} ms ahead")
        if self._stream.max_age_ns is not None and age_ns > self._stream.max_age_ns:
            limit = f"at most {self._stream.max_age_ms:g} ms"
            return Verdict(self._reaction, f"{self._name} is {age_ns / 1e6:.0f} ms old, {limit}")
        return CLEAR

    def reset(self, _now_ns: int) -> None:
        """Keep what was heard: streams go on between episodes."""


class ReportGate:
    """Something was reported, and not taken back since."""

    def __init__(self, reaction: Reaction) -> None:
        self._reaction = reaction
        self._texts: dict[str, str] = {}

    def report(self, text: str, *, of: str = "") -> None:
        """Take note of what is wrong, of one source out of several or of the only one."""
        self._texts[of] = text

    def clear(self, of: str = "") -> None:
        """Take it back."""
        self._texts.pop(of, None)

    def check(self, _now_ns: int) -> Verdict:
        """Return what was reported."""
        return Verdict(self._reaction, "; ".join(self._texts.values())) if self._texts else CLEAR

    def reset(self, _now_ns: int) -> None:
        """Forget it."""
        self._texts.clear()


class PlanGate:
    """The policy has not acted for too long."""

    def __init__(self, its: settings.PlanGate, period_ns: int) -> None:
        self._reaction, self._longest_ns = its.reaction, int(its.periods * period_ns)
        self._heard_ns = 0

    def heard(self, tick_ns: int) -> None:
        """Take note of a plan for the observation of `tick_ns`."""
        self._heard_ns = max(tick_ns, self._heard_ns)

    def check(self, now_ns: int) -> Verdict:
        """Compare the newest plan with the time."""
        age_ns = now_ns - self._heard_ns
        if age_ns <= self._longest_ns:
            return CLEAR
        limit = f"at most {self._longest_ns / 1e6:.0f} ms"
        return Verdict(self._reaction, f"the policy has not acted for {age_ns / 1e6:.0f} ms, {limit}")

    def reset(self, now_ns: int) -> None:
        """Count from now on."""
        self._heard_ns = now_ns


class ClockGate:
    """The clock of stamps and a steady one disagree about how much time has passed."""

    def __init__(self, its: settings.ClockGate) -> None:
        self._reaction, self._jump_ns = its.reaction, int(its.jump_ms * 1e6)
        self._offset_ns: int | None = None
        self._jumped = ""

    def saw(self, now_ns: int, steady_ns: int) -> int:
        """Compare the clocks, of which the second runs on whatever happens; return the first's jump, ns."""
        offset_ns = now_ns - steady_ns
        jump_ns = 0 if self._offset_ns is None else offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        if abs(jump_ns) > self._jump_ns:
            self.jumped(jump_ns)
        return jump_ns

    def jumped(self, jump_ns: int) -> None:
        """Take note of a jump that somebody else saw."""
        way = "ahead" if jump_ns > 0 else "back"
        self._jumped = f"the clock jumped {abs(jump_ns) / 1e6:.0f} ms {way}"

    def check(self, _now_ns: int) -> Verdict:
        """Return the last jump since the reset."""
        return Verdict(self._reaction, self._jumped) if self._jumped else CLEAR

    def reset(self, _now_ns: int) -> None:
        """Take the clock as it is now for right."""
        self._offset_ns, self._jumped = None, ""


class RobotState(Protocol):
    """What is read of the xArm driver's RobotMsg (docs/drivers.md)."""

    state: int
    mode: int
    err: int
    warn: int
    mt_able: int


class RobotStateGate:
    """The arm's controller is not in the state in which it follows commands."""

    def __init__(self, its: settings.RobotStateGate, joints: int) -> None:
        self._its, self._all_able = its, (1 << joints) - 1
        self._last: RobotState | None = None
        self._heard_ns = 0

    def saw(self, message: RobotState, receive_ns: int) -> None:
        """Take a report of the controller."""
        self._last, self._heard_ns = message, receive_ns

    def check(self, now_ns: int) -> Verdict:
        """Compare the last report with what the contract allows."""
        age_ms = (now_ns - self._heard_ns) / 1e6
        if age_ms < -self._its.max_age_ms:
            self._last = None  # the clock went back: later this report would seem to be a new one
        if self._last is None:
            return Verdict(self._its.reaction, f"no robot state has come on {self._its.topic}")
        if age_ms > self._its.max_age_ms:
            limit = f"at most {self._its.max_age_ms:g} ms"
            return Verdict(self._its.reaction, f"the robot state is {age_ms:.0f} ms old, {limit}")
        return self._judge(self._last)

    def reset(self, _now_ns: int) -> None:
        """Keep the last report: the controller goes on between episodes."""

    def _judge(self, robot: RobotState) -> Verdict:
        its = self._its
        if robot.err:
            return Verdict(its.reaction, f"the arm's controller reports error {robot.err}")
        if its.modes and robot.mode not in its.modes:
            return Verdict(its.reaction, f"the arm is in mode {robot.mode}, possible is {list(its.modes)}")
        if its.states and robot.state not in its.states:
            return Verdict(its.reaction, f"the arm is in state {robot.state}, possible is {list(its.states)}")
        if robot.mt_able & self._all_able != self._all_able:
            return Verdict(its.reaction, f"motors are off: bits of those that are on {robot.mt_able:#x}")
        if robot.warn:
            return Verdict(its.on_warning, f"the arm's controller warns, {robot.warn}")
        return CLEAR


class DeadmanGate:
    """Nobody holds the deadman."""

    def __init__(self, its: settings.DeadmanGate) -> None:
        self._its = its
        self._held, self._heard_ns = False, 0

    def saw(self, held: bool, receive_ns: int) -> None:
        """Take note of the button."""
        self._held, self._heard_ns = held, receive_ns

    def check(self, now_ns: int) -> Verdict:
        """Want nothing while the button is held and was heard of lately."""
        age_ms = (now_ns - self._heard_ns) / 1e6
        if age_ms < -self._its.max_age_ms:
            self._held = False  # the clock went back: later this press would seem to be a new one
        if not self._held:
            return Verdict(self._its.reaction, f"the deadman on {self._its.topic} is not held")
        if age_ms > self._its.max_age_ms:
            limit = f"at most {self._its.max_age_ms:g} ms"
            return Verdict(self._its.reaction, f"the deadman was heard {age_ms:.0f} ms ago, {limit}")
        return CLEAR

    def reset(self, _now_ns: int) -> None:
        """Keep the button as it is."""


class EstopGate:
    """Somebody asked for a stop and has not taken it back."""

    def __init__(self, its: settings.EstopGate) -> None:
        self._topic = its.topic
        self.pressed = self._asked = False

    def saw(self, pressed: bool) -> None:
        """Take a message; one press stops, however soon it is released."""
        self.pressed, self._asked = pressed, self._asked or pressed

    def check(self, _now_ns: int) -> Verdict:
        """Stop where it was pressed since the reset, or still is."""
        return Verdict("stop", f"true on {self._topic}") if self._asked or self.pressed else CLEAR

    def reset(self, _now_ns: int) -> None:
        """Forget a press that was released."""
        self._asked = False


class NoveltyGate:
    """Most of the last observations are like none that was demonstrated."""

    def __init__(self, its: settings.NoveltyGate) -> None:
        self._its = its
        self._ratios: deque[float] = deque(maxlen=its.of)

    def saw(self, ratio: float) -> None:
        """Take the distance to the nearest demonstration, in units of the bundle's threshold."""
        self._ratios.append(ratio)

    def check(self, _now_ns: int) -> Verdict:
        """Count the observations that are new; NaN is."""
        new = sum(not ratio <= self._its.ratio for ratio in self._ratios)
        if new < self._its.least:
            return CLEAR
        times = f"{self._ratios[-1]:.2f} times as far from the demonstrations as they are from one another"
        return Verdict(self._its.reaction, f"nothing like this was demonstrated: {times}")

    def reset(self, _now_ns: int) -> None:
        """Begin to count anew."""
        self._ratios.clear()
