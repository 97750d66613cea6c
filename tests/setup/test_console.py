from pathlib import Path

import pytest

from dynamo_setup.console import Console, hint_for
from dynamo_setup.errors import SetupError


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        ("OSError: [Errno 28] No space left on device", "free disk space"),
        ("Failed to establish: [Errno -2] Name or service not known", "check the network or the proxy"),
        ("ERROR: No matching distribution found for ros-rclpy==7.1.6", "try PYTHON="),
        ("fatal error: Python.h: No such file or directory", "python3-dev"),
        ("something else", "continues where it stopped"),
    ],
)
def test_a_failure_comes_with_advice(log: str, hint: str) -> None:
    assert hint in hint_for(log)


def test_a_failed_command_names_its_log(tmp_path: Path) -> None:
    console = Console(tmp_path)
    with pytest.raises(
        SetupError, match=r"packages failed with exit status 3; see .*packages\.log\n.*free disk space"
    ):
        console.run("packages", ["sh", "-c", "echo No space left on device; exit 3"])
    assert "No space left" in console.log_of("packages").read_text()


def test_advice_is_not_taken_from_an_earlier_run(tmp_path: Path) -> None:
    console = Console(tmp_path)
    console.run("packages", ["echo", "No space left on device"])
    with pytest.raises(SetupError, match="continues where it stopped"):
        console.run("packages", ["false"])


def test_a_stage_prints_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Console(tmp_path).stage("Python packages"):
        pass
    *words, seconds, unit = capsys.readouterr().out.split()
    assert (words, unit) == (["Python", "packages"], "s")
    assert float(seconds) >= 0.0
