"""An xArm's way into the mode that its commands need, and what its reports say about it afterwards."""

from __future__ import annotations

from typing import Literal, NamedTuple

from dynamo_ros.core.free_drive import (
    ALL_JOINTS,
    ANSWER_S,
    ENABLE,
    ERRORS,
    READY,
    RETURNS,
    ModeCall,
)

State = Literal["off", "listening", "calling", "confirming", "ready", "failed"]

REPORT_S = 2.0  # the default report comes five times a second
STOPPED = 4
# Emergency stops, self-collision, collision and the safety boundary: a person looks before these are cleared.
NOT_CLEARED_HERE = frozenset({1, 2, 3, 22, 31, 35})
STATES = {3: "paused", 4: "stopped", 5: "not ready, its mode or settings were changed"}


class Report(NamedTuple):
    """What the arm says of itself."""

    mode: int
    state: int
    error: int
    warning: int


class Preparation:
    """Says which call is next, and whether the arm is ready for commands in `mode`.

    What is wrong at the beginning is cleared once, unless it is among NOT_CLEARED_HERE; nothing is ever
    cleared afterwards. To be called again (`begin`) it takes a person, who re-arms or activates.
    """

    def __init__(self, mode: int) -> None:
        self._mode = mode
        self._queue: list[ModeCall] = []
        self._asked: ModeCall | None = None
        self._since_ns = 0
        self._against = ""  # the last report, where it is not as it should be
        self.state: State = "off"
        self.reason = ""  # why it is not ready, where it should be

    def begin(self, now_ns: int) -> None:
        """Begin anew with the next report."""
        self.state, self.reason, self._queue, self._asked = "listening", "", [], None
        self._against = ""
        self._since_ns = now_ns

    def end(self) -> None:
        """Forget it: the arm is not to be commanded."""
        self.state, self.reason, self._queue, self._asked = "off", "", [], None

    def fail(self, reason: str) -> None:
        """Take note of what else makes commands impossible."""
        self.state, self.reason = "failed", reason

    def due(self, now_ns: int) -> ModeCall | None:
        """Return the call to make now, once; None where there is none or an answer is waited for."""
        waited_s = (now_ns - self._since_ns) / 1e9
        if self.state == "listening" and waited_s > REPORT_S:
            self.reason = f"the arm's driver has reported nothing for {waited_s:.0f} s"  # it may come yet
        # Reports come up to 0.2 s late, so those just after the change still tell of the time before.
        if self.state == "confirming" and waited_s > REPORT_S:
            self.fail(self._against or f"the arm's driver has reported nothing for {waited_s:.0f} s")
        if self.state != "calling":
            return None
        if self._asked is not None:
            if waited_s > ANSWER_S:
                self.fail(f"{self._asked.service} did not answer within {ANSWER_S:g} s")
            return None
        self._asked, self._since_ns = self._queue.pop(0), now_ns
        return self._asked

    def answered(self, call: ModeCall, code: int, message: str, now_ns: int) -> None:
        """Take the answer to the call that was due; others are of no interest."""
        if call is not self._asked or self.state != "calling":
            return
        self._asked = None
        if code != 0:
            why = RETURNS.get(code, "unknown code")
            self.fail(f"{call.service} {call.data} returned {code} ({why}) {message}".rstrip())
        elif not self._queue:
            self.state, self._since_ns = "confirming", now_ns

    def observe(self, report: Report) -> None:
        """Take what the arm reports: where it begins, that it has arrived, and whether it stays there."""
        if self.state == "listening":
            self.reason = ""
            self._start(report)
        elif self.state in ("confirming", "ready"):
            self._against = self._why_not(report)
            if not self._against:
                self.state = "ready"
            elif self.state == "ready":
                self.fail(self._against)

    def _start(self, report: Report) -> None:
        if report.error in NOT_CLEARED_HERE:
            self.fail(
                f"{_error(report.error)}; look at the cause, then clear it with its clean_error service"
            )
            return
        clean_error = [ModeCall("clean_error", 0)] if report.error else []
        clean_warning = [ModeCall("clean_warn", 0)] if report.warning else []
        self._queue = [
            *clean_error,
            *clean_warning,
            ModeCall("motion_enable", ENABLE, ALL_JOINTS),
            ModeCall("set_mode", self._mode),
            ModeCall("set_state", READY),
        ]
        self.state = "calling"

    def _why_not(self, report: Report) -> str:
        if report.error:
            return _error(report.error)
        if report.state in STATES:
            return f"the arm is in state {report.state} ({STATES[report.state]})"
        if report.mode != self._mode:
            return f"the arm is in mode {report.mode}, not in {self._mode}: someone changed it"
        return ""


def _error(error: int) -> str:
    return f"the arm reports error {error} ({ERRORS.get(error, 'see its manual')})"
