"""Buttons of a gamepad, and keys, that control episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dynamo_policies.errors import ConfigError, UnknownNameError

ACTIONS = ("start", "success", "failure", "discard", "redo", "moment")
KEYS: Mapping[str, str] = {
    " ": "start",
    "s": "success",
    "f": "failure",
    "d": "discard",
    "r": "redo",
    "m": "moment",
}


class EpisodeButtons:
    """Tells what was just pressed; a button that stays down is told once."""

    def __init__(self, mapping: Sequence[str]) -> None:
        """`mapping` has entries such as `success:11`: what a button does, and its place in Joy.buttons.

        Raises:
            ConfigError: an entry is not of that form, or a button is named twice.
        """
        self._actions: dict[int, str] = {}
        for entry in mapping:
            action, _, number = entry.partition(":")
            if action not in ACTIONS:
                raise UnknownNameError("episode button", action, ACTIONS)
            if not number.isdigit() or int(number) in self._actions:
                raise ConfigError(
                    f"episode button {entry!r} is not of the form {action}:NUMBER, each number once"
                )
            self._actions[int(number)] = action
        self._down: set[int] | None = None

    def pressed(self, buttons: Sequence[int]) -> list[str]:
        """Return the actions of the buttons that were up and now are down; none at the first message."""
        down = {number for number in self._actions if number < len(buttons) and buttons[number]}
        new = set() if self._down is None else down - self._down
        self._down = down
        return [self._actions[number] for number in sorted(new)]
