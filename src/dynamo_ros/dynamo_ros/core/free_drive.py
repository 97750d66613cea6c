"""The xArm's modes: into hand guiding and out of it, one service call after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

State = Literal["off", "entering", "free", "leaving", "failed"]

# Modes and states of the xArm's controller (xArm SDK).
GUIDED_MODE, READY = 2, 0
ALL_JOINTS, ENABLE = 8, 1
ANSWER_S = 2.0
# Reports of the arm come up to 0.2 s late, so those just after the change still tell the old mode.
SETTLE_S = 0.5
RETURNS: Mapping[int, str] = {
    -9: "emergency stop",
    -8: "out of range",
    -2: "not ready",
    -1: "not connected",
    1: "an error is not cleared",
    2: "a warning is not cleared",
    9: "not in a state for this",
    12: "bad parameter",
    997: "array too short",
}
ERRORS: Mapping[int, str] = {
    1: "emergency stop",
    2: "emergency stop by the control box",
    3: "emergency stop by the three-state switch",
    21: "kinematic error",
    22: "self-collision",
    23: "joint limit",
    24: "too fast",
    31: "collision: abnormal current",
    35: "safety boundary",
    37: "abnormal manual mode",
    38: "abnormal joint angle",
}


class ModeCall(NamedTuple):
    """One call of a vendor's service below the arm's namespace."""

    service: Literal["motion_enable", "set_mode", "set_state", "clean_error", "clean_warn"]
    data: int
    joint: int | None = None  # `id` of services that have one


ENTER_MODE = ModeCall("set_mode", GUIDED_MODE)
ENTER = (ModeCall("motion_enable", ENABLE, ALL_JOINTS), ENTER_MODE, ModeCall("set_state", READY))


class FreeDrive:
    """Says which call is next; ends up free, off or failed, with the reason.

    Errors of the arm are never cleared here: the cause is for a person to look at. What fails on the way in
    is followed by one attempt at the way out. Where the way out fails, or an error ends it, the arm may still
    be in hand guiding; `end` then tries again.
    """

    def __init__(self, *, return_mode: int = 1) -> None:
        self._leave = (ModeCall("set_mode", return_mode), ModeCall("set_state", READY))
        self._queue: list[ModeCall] = []
        self._asked: ModeCall | None = None  # without an answer yet
        self._asked_ns = self._free_ns = 0
        self._failure: str | None = None
        self._guided = False  # whether the arm may be in hand guiding by what was called here
        self.state: State = "off"
        self.reason = ""

    def begin(self) -> bool:
        """Go into hand guiding; return whether that is possible now."""
        if self.state not in ("off", "failed"):
            return False
        self._go("entering", ENTER)
        self._failure = None
        return True

    def end(self, reason: str) -> None:
        """Go back, from wherever it is."""
        if self.state in ("entering", "free") or (self.state == "failed" and self._guided):
            self._go("leaving", self._leave)
            self.reason, self._failure = reason, None

    def due(self, now_ns: int) -> ModeCall | None:
        """Return the call to make now, once; None while an answer is waited for."""
        if self._asked is not None:
            if now_ns - self._asked_ns > ANSWER_S * 1e9:
                self._fail(f"{self._asked.service} did not answer within {ANSWER_S:g} s")
            return None
        if not self._queue:
            return None
        self._asked, self._asked_ns = self._queue.pop(0), now_ns
        self._guided |= self._asked == ENTER_MODE
        return self._asked

    def answered(self, call: ModeCall, code: int, message: str, now_ns: int) -> None:
        """Take the answer to the call that was due; answers that come too late are of no interest."""
        if call is not self._asked:
            return
        self._asked = None
        if code != 0:
            why = RETURNS.get(code, "unknown code")
            self._fail(f"{call.service} {call.data} returned {code} ({why}) {message}".rstrip())
        elif not self._queue:
            self._arrive(now_ns)

    def observe(self, *, mode: int, error: int, now_ns: int) -> None:
        """Take what the arm reports about itself."""
        if self.state == "failed" and mode != GUIDED_MODE and now_ns - self._asked_ns >= SETTLE_S * 1e9:
            self._guided = False
        if self.state != "free" or now_ns - self._free_ns < SETTLE_S * 1e9:
            return
        if error != 0:
            self._end_failed(f"the arm reports error {error} ({ERRORS.get(error, 'see its manual')})")
        elif mode != GUIDED_MODE:
            self._end_failed(f"the arm is in mode {mode}, no longer in {GUIDED_MODE}: someone changed it")

    def _go(self, state: State, calls: tuple[ModeCall, ...]) -> None:
        self.state, self._queue, self._asked = state, list(calls), None

    def _arrive(self, now_ns: int) -> None:
        if self.state == "entering":
            self.state, self.reason, self._free_ns = "free", "", now_ns
            return
        self._guided = False
        if self._failure is not None:
            self._end_failed(self._failure)
        else:
            self.state = "off"

    def _fail(self, reason: str) -> None:
        if self.state == "entering":
            self._go("leaving", self._leave)
            self._failure = reason
        else:
            self._end_failed(reason if self._failure is None else f"{self._failure}; then {reason}")

    def _end_failed(self, reason: str) -> None:
        self._go("failed", ())
        self.reason = reason
