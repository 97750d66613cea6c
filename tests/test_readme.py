"""The README's commands are tried, so that they can't rot."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from dynamo_policies.cli.main import installed_commands, make_parser

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
LINES = [shlex.split(line, comments=True) for block in BLOCKS for line in block.splitlines()]


def lines_of(*start: str) -> list[list[str]]:
    return [line for line in LINES if tuple(line[: len(start)]) == start]


@pytest.mark.parametrize("line", lines_of("dynamo"), ids=" ".join)
def test_every_dynamo_command_of_the_readme_is_understood(line: list[str]) -> None:
    commands = installed_commands([])
    parsed = make_parser(commands).parse_args(line[1:])
    assert parsed.run in [command.run for command in commands if command.name == line[1]]


@pytest.mark.parametrize("line", lines_of("dynamo"), ids=" ".join)
def test_every_config_that_the_readme_names_is_there(line: list[str]) -> None:
    for name in (word for word in line if word.startswith("config/")):
        assert (ROOT / name).is_file()


@pytest.mark.parametrize("line", lines_of("ros2", "launch"), ids=" ".join)
def test_every_launch_file_of_the_readme_declares_the_arguments_given(line: list[str]) -> None:
    shown = subprocess.run(
        [*line[:4], "--show-args"], check=True, capture_output=True, text=True, timeout=240
    )
    declared = re.findall(r"^\s+'?(\w+)'?:", shown.stdout, flags=re.MULTILINE)
    assert {argument.split(":=")[0] for argument in line[4:]} <= set(declared)


def test_every_make_target_of_the_readme_exists() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    wanted = {line[1] for line in lines_of("make")}
    assert wanted
    assert wanted <= set(targets)
