"""A terminal that is read key by key."""

from __future__ import annotations

import os
import re
import termios
import tty
import weakref
from contextlib import suppress
from typing import Any

from dynamo_policies.errors import DynamoError

# What arrow and function keys send; their letters are not keys.
ESCAPES = re.compile(r"\x1b(\[[0-9;]*[A-Za-z~]|O.)")
MOST_BYTES = 256


class TerminalError(DynamoError):
    """There is no terminal to read keys from, or no longer."""


class Terminal:
    """Keys of the terminal at `path` as they are pressed, without echo.

    Its settings are restored by `close`, and also when the process ends without it. Ctrl-C stays an
    interrupt. The process's own terminal is read by default, so that it works below `ros2 launch`, which
    keeps standard input to itself.

    Raises:
        TerminalError: `path` is no terminal.
    """

    def __init__(self, path: str = "/dev/tty") -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
            settings = termios.tcgetattr(self._file)
        except (OSError, termios.error) as error:
            raise TerminalError(
                f"no keys can be read from {path!r} ({error}): start the node in a terminal"
            ) from error
        self._restore = weakref.finalize(self, _restore, self._file, settings)
        tty.setcbreak(self._file, termios.TCSANOW)

    def read(self) -> str:
        """Return the keys pressed since the last call; TerminalError if the terminal is gone."""
        try:
            data = os.read(self._file, MOST_BYTES)
        except BlockingIOError:
            return ""
        except OSError as error:
            raise TerminalError(f"terminal {self._path!r} is gone: {error}") from error
        if not data:
            raise TerminalError(f"terminal {self._path!r} is gone")
        return ESCAPES.sub("", data.decode("ascii", errors="ignore"))

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._restore()


def _restore(file: int, settings: list[Any]) -> None:
    # A terminal that is gone has nothing to restore.
    with suppress(termios.error):
        termios.tcsetattr(file, termios.TCSADRAIN, settings)
    os.close(file)
