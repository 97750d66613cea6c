from __future__ import annotations

from typing import ClassVar, Protocol

from dynamo_ros.core.commander import ArmCommand
from dynamo_ros.core.steps import FloatArray


class ArmDriver(Protocol):
    """How commands reach one kind of arm driver. Nothing waits: answers come between the calls.

    First `prepare`; then, with each tick, `ready` and, where it is, `send`. A `fault` is for the caller to
    stop by; `halt` follows each latched stop, and `prepare` what a person does about it.
    """

    NEEDS_JOINTS: ClassVar[bool]  # whether `observe` is of use

    def prepare(self, now_ns: int) -> None:
        """Begin to make the arm ready for commands."""

    def ready(self, now_ns: int) -> bool:
        """Return whether commands may come; to be asked with each tick, since it goes on preparing."""

    def fault(self) -> str:
        """Return why the arm can't be commanded, an empty text while it can."""

    def observe(self, joints: FloatArray) -> None:
        """Take note of the measured joints (J,) rad."""

    def send(self, command: ArmCommand, stamp_ns: int) -> None:
        """Send the command that was made for `stamp_ns`."""

    def release(self) -> None:
        """Send nothing more for now; a velocity ends."""

    def halt(self) -> None:
        """Stop as the contract says; only `prepare` leads out."""


class GripperDriver(Protocol):
    """How goals reach one kind of gripper."""

    def ready(self) -> bool:
        """Return whether a goal would be taken now."""

    def fault(self) -> str:
        """Return why the last goal failed, an empty text if it did not."""

    def send(self, position: float) -> None:
        """Send the goal `position`, as the contract's `open` and `closed` have it."""
