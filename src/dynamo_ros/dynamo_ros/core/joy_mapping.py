"""From the axes and buttons of a game controller or a 3D mouse to tool targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamo_policies.errors import UnknownNameError
from dynamo_policies.observation import Pose, Target
from dynamo_policies.sinks import GripperSink
from dynamo_ros.core.jogging import jogged, leashed
from dynamo_ros.core.toggle import GripperToggle

FloatArray = npt.NDArray[np.float64]


class Axis(NamedTuple):
    """A direction of motion: an axis, less the axis `minus` if there is one (as with two triggers)."""

    axis: int
    minus: int | None = None


@dataclass(frozen=True, kw_only=True)
class JoyLayout:
    """Which axes and buttons of a sensor_msgs/Joy mean what.

    `axes` are x, y, z (base frame), then turns about x, y, z (base frame); None where a device has no axis
    left. `silence_s` is how long after its last message a device counts as gone: then the deadman is
    released. None for a device that is silent while nothing changes; there motion stops instead, since a
    deflected device keeps talking.
    """

    axes: tuple[Axis | None, Axis | None, Axis | None, Axis | None, Axis | None, Axis | None]
    deadman: int
    gripper: int
    silence_s: float | None


# Layouts of joystick_drivers: game_controller_node and spacenav. Left and up are
# positive. x is away from the base and y to its left; the operator stands behind the robot.
LAYOUTS: Mapping[str, JoyLayout] = {
    # Left stick moves, triggers lower and raise (LT, RT: 0 to 1), right stick tilts and turns; LB deadman, A
    # gripper.
    "gamepad": JoyLayout(
        axes=(Axis(1), Axis(0), Axis(5, minus=4), None, Axis(3), Axis(2)),
        deadman=9,
        gripper=0,
        silence_s=0.25,
    ),
    "spacemouse": JoyLayout(
        axes=(Axis(0), Axis(1), Axis(2), Axis(3), Axis(4), Axis(5)), deadman=0, gripper=1, silence_s=None
    ),
}
# After this long without a message no device is believed to be deflected still.
MOTION_SILENCE_NS = 250_000_000
DEADZONE = 0.05


def layout(name: str) -> JoyLayout:
    """Return the layout called `name`; UnknownNameError if there is none."""
    if name not in LAYOUTS:
        raise UnknownNameError("layout", name, LAYOUTS)
    return LAYOUTS[name]


class JoyMapping:
    """Integrates a device's deflection into a target, as long as its deadman button is held.

    Pressing the deadman starts at the tool's measured pose, so that nothing jumps; without it there is no
    target. The target stays near the measured tool (`jogging.LEASH_M`), so that an arm that can't follow
    stops with the device. `speed_m_s` and `turn_rad_s` are those of full deflection.
    """

    def __init__(self, layout: JoyLayout, *, speed_m_s: float, turn_rad_s: float) -> None:
        self._layout, self._speed, self._turn = layout, speed_m_s, turn_rad_s
        self._deflection: FloatArray = np.zeros(6)
        self._deadman = self._gripper_pressed = False
        self._gripper = GripperToggle()
        self._heard_ns = self._stepped_ns = 0
        self._pose: Pose | None = None

    def joy(self, axes: Sequence[float], buttons: Sequence[int], now_ns: int) -> None:
        """Take one message of the device; axes or buttons that it lacks count as at rest."""
        self._deflection = np.array([_deflection(axis, axes) for axis in self._layout.axes])
        self._deadman = _pressed(buttons, self._layout.deadman)
        pressed = _pressed(buttons, self._layout.gripper)
        if pressed and not self._gripper_pressed and self._deadman:
            self._gripper.press()
        self._gripper_pressed = pressed
        self._heard_ns = now_ns

    def step(self, measured: Pose, now_ns: int, *, gripper_closed: bool = False) -> Target | None:
        """Return the target for `now_ns`, None without the deadman.

        `gripper_closed` is what the gripper does: it stays so until its button is pressed, and then as told.
        """
        if not self._holds_deadman(now_ns):
            self._pose = None
            return None
        if self._pose is None:
            self._pose, self._stepped_ns = measured, now_ns
        self._pose = leashed(self._moved(self._pose, now_ns), measured)
        self._stepped_ns = now_ns
        return Target(self._pose, self._gripper.step(measured_closed=gripper_closed))

    def _holds_deadman(self, now_ns: int) -> bool:
        silence_s = self._layout.silence_s
        heard = silence_s is None or 0 <= now_ns - self._heard_ns <= silence_s * 1e9
        return self._deadman and heard

    def _moved(self, pose: Pose, now_ns: int) -> Pose:
        heard = 0 <= now_ns - self._heard_ns <= MOTION_SILENCE_NS
        elapsed_s = max(0, now_ns - self._stepped_ns) / 1e9 if heard else 0.0
        step = self._deflection * elapsed_s
        return jogged(pose, step[:3] * self._speed, step[3:] * self._turn)


def is_closed(sink: GripperSink, position: float) -> bool:
    """Return whether a gripper at `position`, in its driver's unit, is nearer to closed than to open."""
    return abs(position - sink.closed) < abs(position - sink.open)


def _deflection(axis: Axis | None, axes: Sequence[float]) -> float:
    if axis is None:
        return 0.0
    value = _value(axis.axis, axes) - (0.0 if axis.minus is None else _value(axis.minus, axes))
    return value if abs(value) > DEADZONE else 0.0


def _value(index: int, axes: Sequence[float]) -> float:
    return float(axes[index]) if index < len(axes) else 0.0


def _pressed(buttons: Sequence[int], index: int) -> bool:
    return index < len(buttons) and bool(buttons[index])
