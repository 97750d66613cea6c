import gc
import os
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo_ros.drivers.terminal import Terminal, TerminalError


@pytest.fixture
def pty() -> Iterator[tuple[int, int]]:
    """The keyboard's and the process's end of a terminal."""
    keyboard, terminal = os.openpty()
    yield keyboard, terminal
    os.close(terminal)
    os.close(keyboard)


def test_keys_are_read_as_they_are_pressed(pty: tuple[int, int]) -> None:
    terminal = Terminal(os.ttyname(pty[1]))
    assert terminal.read() == ""
    os.write(pty[0], b"ww ")
    assert terminal.read() == "ww "
    terminal.close()


def test_arrow_keys_are_not_letters(pty: tuple[int, int]) -> None:
    terminal = Terminal(os.ttyname(pty[1]))
    os.write(pty[0], b"\x1b[Dw\x1bOD\x1b[1;5d\xff")
    assert terminal.read() == "w"
    terminal.close()


def test_the_terminal_is_restored_when_closed(pty: tuple[int, int]) -> None:
    before = termios.tcgetattr(pty[1])
    terminal = Terminal(os.ttyname(pty[1]))
    assert not termios.tcgetattr(pty[1])[3] & (termios.ECHO | termios.ICANON)
    terminal.close()
    terminal.close()
    assert termios.tcgetattr(pty[1]) == before


def test_the_terminal_is_restored_when_forgotten(pty: tuple[int, int]) -> None:
    before = termios.tcgetattr(pty[1])
    terminal = Terminal(os.ttyname(pty[1]))
    del terminal
    gc.collect()
    assert termios.tcgetattr(pty[1]) == before


def test_what_is_no_terminal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(TerminalError, match="start the node in a terminal"):
            Terminal(str(path))


def test_a_terminal_that_is_gone_is_an_error() -> None:
    keyboard, end = os.openpty()
    terminal = Terminal(os.ttyname(end))
    os.close(end)
    os.close(keyboard)
    with pytest.raises(TerminalError, match="is gone"):
        terminal.read()
    terminal.close()
