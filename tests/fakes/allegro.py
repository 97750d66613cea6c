"""Allegro hands behind their drivers' rules, without ROS: what a message moves, finger by finger.

Sources: allegro_hand_ros2 (V4), allegro_hand_ros2_v5, the Allegro controller of DIME; docs/drivers.md names
the versions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

INITIAL_V4 = np.array([0.7, 0.1, *[0.0] * 14])  # initial_positions.yaml of allegro_hand_description


class ControllerError(Exception):
    """A controller's update failed."""


class FakeHand:
    """A hand that is at once where it is sent and holds that for ever; nobody looks at names.

    `order` are the fingers as the driver has them, `joints` its own names in its own order.
    """

    order: tuple[str, ...]
    joints: tuple[str, ...]

    def __init__(self, positions: Sequence[float] | np.ndarray = (0.0,) * 16) -> None:
        self.positions = np.array(positions, np.float64)

    def fingers(self) -> dict[str, list[float]]:
        """Return where each finger's joints are, rad."""
        return {name: self.positions[4 * i : 4 * i + 4].tolist() for i, name in enumerate(self.order)}


class WonikV4(FakeHand):
    """ros2_control's ForwardCommandController over 16 joints; it moves as soon as it is activated."""

    order = ("thumb", "index", "middle", "ring")
    joints = tuple(f"ah_joint{finger}{joint}" for finger in range(4) for joint in range(4))

    def activate(self) -> None:
        """Go to the driver's initial positions, before any command."""
        self.positions = INITIAL_V4.copy()

    def take(self, message: object) -> None:
        """Take a std_msgs/Float64MultiArray; another length than 16 fails the controller's update."""
        data = list(message.data)  # type: ignore[attr-defined]  # a message, real or made for a test
        if len(data) != 16:
            raise ControllerError(f"command size ({len(data)}) does not match number of interfaces (16)")
        self.positions = np.array(data)


class TopicHand(FakeHand):
    """A topic node: positions of a sensor_msgs/JointState by their place, whatever the names say."""

    order = ("index", "middle", "ring", "thumb")

    def take(self, message: object) -> None:
        """Take a message with 16 positions and no efforts; others are ignored."""
        positions, efforts = list(message.position), list(message.effort)  # type: ignore[attr-defined]  # as above
        if len(positions) == 16 and not efforts:
            self.positions = np.array(positions)


class WonikV5(TopicHand):
    """allegro_hand_ros2_v5."""

    joints = tuple(f"joint_{joint}_0" for joint in range(16))


class Dime(TopicHand):
    """The controller of DIME, which Open-Teach uses, behind a bridge; it clips targets to 2.1 rad."""

    joints = tuple(f"joint_{joint}.0" for joint in range(16))

    def take(self, message: object) -> None:
        """Take a message as the other topic nodes do."""
        super().take(message)
        self.positions = np.clip(self.positions, -2.1, 2.1)


FAKES: dict[str, type[WonikV4 | WonikV5 | Dime]] = {
    "allegro_v4": WonikV4,
    "allegro_v5": WonikV5,
    "allegro_dime": Dime,
}
