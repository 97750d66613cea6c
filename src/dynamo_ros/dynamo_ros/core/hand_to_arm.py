"""From a tracked hand to tool targets: engage and pause, resolution, filter and axis maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.hand_tracking import Hand, Level, hand_frame, tip_gaps
from dynamo_ros.core.pinch import PinchReader
from dynamo_ros.core.toggle import GripperToggle

FloatArray = npt.NDArray[np.float64]
Matrix = tuple[float, ...]  # 9 numbers, row by row

# The palm's axes in the base frame of a robot that faces the operator, who holds the hand upright (thumb up)
# with the fingers towards the robot: fingers -x, palm's normal +y, from pinky to index +z. Open-Teach gives
# two maps (operators/bimanual_right.py): for moving this one; for turning one into the axes of a tool that
# points straight down, which is this one too, seen from the base. Here both are in the base frame, so that
# turns follow the hand whichever way the tool points.
FACING: Matrix = (0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
PAUSE_FINGERS, GRIPPER_FINGER = ("middle", "ring"), "pinky"
# What a hand can do between two messages; more is lost tracking.
FASTEST_M_S, JUMP_M = 5.0, 0.05


@dataclass(frozen=True, kw_only=True)
class HandArmSettings:
    """How a hand moves the arm; the defaults are Open-Teach's, `opens_m`, `settle_s`, `stale_s` ours."""

    move_map: Matrix = FACING  # palm's axes -> base frame, for positions
    turn_map: Matrix = FACING  # the same for turns
    high_scale: float = 1.0  # tool's motion for the hand's
    low_scale: float = 0.6
    keep: float = 0.8  # the part of the last target that a message leaves
    closes_m: float = 0.03
    opens_m: float = 0.04
    settle_s: float = 0.08
    stale_s: float = 0.2

    def __post_init__(self) -> None:
        for name in ("move_map", "turn_map"):
            given = getattr(self, name)
            axes = np.asarray(given, np.float64)
            if axes.shape != (9,) or not np.allclose(axes.reshape(3, 3) @ axes.reshape(3, 3).T, np.eye(3)):
                raise ConfigError(
                    f"{name} {list(given)} does not hold 3 axes square to each other, row by row"
                )
        if np.linalg.det(np.reshape(self.turn_map, (3, 3))) < 0.0:
            raise ConfigError(f"turn_map {list(self.turn_map)} mirrors; a turn needs a right-handed map")
        if not 0.0 <= self.keep < 1.0:
            raise ConfigError(f"keep {self.keep:g} is not between 0 and 1 (1 excluded)")
        if min(self.high_scale, self.low_scale, self.stale_s) <= 0.0:
            raise ConfigError("high_scale, low_scale and stale_s must be above 0")


class _Anchor(NamedTuple):
    """Where hand and tool were when the hand engaged."""

    wrist: FloatArray
    axes: FloatArray
    pose: Pose


class HandToArm:
    """Turns the hand's motion since it engaged into the tool's, as long as it is engaged and tracked.

    It begins paused. A pinch of thumb and middle or ring finger engages, and pauses again; so does the
    headset's pause stream going Low to High, and Low. Engaging starts at the tool's measured pose. Lost
    tracking pauses: no message for `stale_s`, also of the hand whose pinches would pause, or a jump. While
    the hand's place in the room is not sent (the headset's mode for fingers only) there is no target. A pinch
    of thumb and pinky toggles the gripper while engaged; as it was last told it stays.
    """

    def __init__(self, settings: HandArmSettings) -> None:
        self._settings = settings
        self._move_map = np.reshape(settings.move_map, (3, 3))
        self._turn_map = Rotation.from_matrix(np.reshape(settings.turn_map, (3, 3)))
        self._pinches = PinchReader(
            closes_m=settings.closes_m, opens_m=settings.opens_m, settle_s=settings.settle_s
        )
        self._scale = settings.high_scale
        self._level: Level | None = None
        self._heard_ns: int | None = None  # None: not tracked
        self._gesture_ns: int | None = None  # the same of the hand whose pinches decide
        self._place: tuple[FloatArray, FloatArray] | None = None  # wrist and axes
        self._anchor: _Anchor | None = None
        self._target: Pose | None = None
        self._gripper = GripperToggle()
        self.engaged = False
        self.reason = "not engaged yet"  # why it is paused

    def hand(self, hand: Hand, now_ns: int) -> None:
        """Take the hand that arrived at `now_ns` and moves the tool."""
        self.check(now_ns)
        place = hand_frame(hand.points) if hand.absolute else None
        if place is None:
            self._anchor = self._target = None
        else:
            self._check_jump(place[0], now_ns)
        self._place, self._heard_ns = place, now_ns
        self._follow()

    def gesture(self, hand: Hand, now_ns: int) -> None:
        """Take the hand whose pinches decide: the same, or the other where fingers move a robot's hand."""
        self._gesture_ns = now_ns
        pinched = self._pinches.finger(tip_gaps(hand.points), now_ns)
        if pinched in PAUSE_FINGERS:
            if self.engaged:
                self._stop("paused by a pinch")
            else:
                self._engage()
        elif pinched == GRIPPER_FINGER and self.engaged:
            self._gripper.press()

    def resolution(self, level: Level) -> None:
        """Take the headset's resolution: Low makes the tool move less than the hand."""
        scale = self._settings.low_scale if level == "Low" else self._settings.high_scale
        if scale != self._scale:
            self._scale, self._anchor = scale, None  # from here on, so that nothing jumps

    def pause_level(self, level: Level) -> None:
        """Take the headset's pause stream; Low pauses, High after Low engages."""
        if level == "Low":
            self._stop("paused by the headset")
        elif self._level == "Low":
            self._engage()
        self._level = level

    def check(self, now_ns: int) -> None:
        """Pause if nothing was heard of a hand for too long."""
        if self._heard_ns is not None and self._is_stale(self._heard_ns, now_ns):
            self._lose(f"no hand for {(now_ns - self._heard_ns) / 1e9:.2f} s")
        if self._gesture_ns is not None and self._is_stale(self._gesture_ns, now_ns):
            if self.engaged:
                self._stop(f"no hand that could pause for {(now_ns - self._gesture_ns) / 1e9:.2f} s")
            self._gesture_ns = None
            self._pinches.forget()

    def step(self, measured: Pose, now_ns: int, *, gripper_closed: bool = False) -> Target | None:
        """Return the target for `now_ns`, None while paused.

        `gripper_closed` counts until the first toggle.
        """
        self.check(now_ns)
        if not self.engaged or self._place is None:
            return None
        if self._anchor is None:
            begin = measured if self._target is None else self._target
            self._anchor, self._target = _Anchor(*self._place, begin), begin
        assert self._target is not None
        return Target(self._target, self._gripper.step(measured_closed=gripper_closed))

    def _is_stale(self, heard_ns: int, now_ns: int) -> bool:
        return not 0 <= now_ns - heard_ns <= self._settings.stale_s * 1e9

    def _engage(self) -> None:
        if self._heard_ns is None:
            self.reason = "no hand is tracked"
        else:
            self.engaged = True

    def _stop(self, reason: str) -> None:
        self.engaged, self._anchor, self._target = False, None, None
        self._gripper.release()
        self.reason = reason

    def _lose(self, reason: str) -> None:
        if self.engaged:
            self._stop(reason)
        self._place = self._heard_ns = None
        self._pinches.forget()

    def _check_jump(self, wrist: FloatArray, now_ns: int) -> None:
        if self._place is None or self._heard_ns is None:
            return
        jump_m = float(np.linalg.norm(wrist - self._place[0]))
        if jump_m > JUMP_M + FASTEST_M_S * (now_ns - self._heard_ns) / 1e9:
            self._lose(f"the hand jumped by {jump_m:.2f} m")

    def _follow(self) -> None:
        """Move the target towards where the hand is, leaving `keep` of the way."""
        if self._anchor is None or self._place is None or self._target is None:
            return
        goal, part = self._goal(self._anchor, *self._place), 1.0 - self._settings.keep
        step = part * (goal.position - self._target.position)
        start = Rotation.from_quat(self._target.quaternion)
        turn = part * (Rotation.from_quat(goal.quaternion) * start.inv()).as_rotvec()
        self._target = Pose(self._target.position + step, (Rotation.from_rotvec(turn) * start).as_quat())

    def _goal(self, anchor: _Anchor, wrist: FloatArray, axes: FloatArray) -> Pose:
        moved = self._move_map @ (anchor.axes.T @ (wrist - anchor.wrist)) * self._scale
        turned = self._turn_map * Rotation.from_matrix(anchor.axes.T @ axes) * self._turn_map.inv()
        quaternion = (turned * Rotation.from_quat(anchor.pose.quaternion)).as_quat()
        return Pose(anchor.pose.position + moved, quaternion)
