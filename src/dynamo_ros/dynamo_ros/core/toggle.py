"""One button that opens and closes a gripper."""

from __future__ import annotations


class GripperToggle:
    """Remembers what a device told the gripper.

    What is measured counts until the first press only: a gripper that holds something wide, or is still
    moving, reads as open, and must not be opened because the deadman is pressed again.
    """

    def __init__(self) -> None:
        self._closed: bool | None = None
        self._due = False

    def press(self) -> None:
        """Change it at the next step."""
        self._due = not self._due

    def release(self) -> None:
        """Forget a press that no step has seen."""
        self._due = False

    def step(self, *, measured_closed: bool) -> float:
        """Return the gripper's target, 0 open or 1 closed."""
        if self._due:
            self._closed = not (measured_closed if self._closed is None else self._closed)
            self._due = False
        return float(measured_closed if self._closed is None else self._closed)
