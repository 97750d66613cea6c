import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dynamo_setup.errors import SetupError
from dynamo_setup.pythons import Interpreter, choose, inspect

PYTHON_311 = Interpreter((3, 11), "/usr/bin/python3.11", has_venv=True, has_headers=True, has_rclpy=False)
PYTHON_312 = replace(PYTHON_311, version=(3, 12), path="/usr/bin/python3.12")
PYTHON_38 = replace(PYTHON_311, version=(3, 8), path="/usr/bin/python3.8")


def machine_with(**commands: Interpreter) -> Callable[[str], Interpreter | None]:
    """A machine on which only `commands` run; p3_11 stands for python3.11."""
    return {name.replace("p3", "python3").replace("_", "."): found for name, found in commands.items()}.get


def test_the_newest_supported_python_that_runs_is_chosen() -> None:
    assert choose({}, machine_with(p3_11=PYTHON_311, p3_12=PYTHON_312)) is PYTHON_312
    assert choose({}, machine_with(p3_11=PYTHON_311)) is PYTHON_311


def test_a_plain_python3_serves_where_no_numbered_one_runs() -> None:
    assert choose({}, machine_with(p3=PYTHON_311)) is PYTHON_311


def test_a_name_that_hides_another_version_is_passed_over() -> None:
    assert choose({}, machine_with(p3_12=PYTHON_38, p3_11=PYTHON_311)) is PYTHON_311


def test_the_named_python_wins_over_a_newer_one() -> None:
    assert choose({"PYTHON": "python3.11"}, machine_with(p3_11=PYTHON_311, p3_12=PYTHON_312)) is PYTHON_311


def test_an_unsupported_python_is_refused_with_the_supported_ones() -> None:
    with pytest.raises(SetupError, match=r"PYTHON=python3\.8 is Python 3\.8\n.*3\.10, 3\.11, 3\.12"):
        choose({"PYTHON": "python3.8"}, machine_with(p3_8=PYTHON_38))


def test_a_named_python_that_does_not_run_is_refused() -> None:
    with pytest.raises(SetupError, match=r"PYTHON=nothing does not run"):
        choose({"PYTHON": "nothing"}, machine_with())


def test_no_supported_python_says_what_was_found() -> None:
    with pytest.raises(SetupError, match=r"no supported Python on PATH: python3 is 3\.8\n.*install one of"):
        choose({}, machine_with(p3=PYTHON_38))


@pytest.mark.parametrize(("lacks", "package"), [("has_venv", "venv"), ("has_headers", "dev")])
def test_a_python_split_by_the_distribution_names_the_missing_package(lacks: str, package: str) -> None:
    half = replace(PYTHON_311, **{lacks: False})
    with pytest.raises(SetupError, match=rf"apt install python3\.11-{package}"):
        choose({}, machine_with(p3_11=half))


def test_a_shim_without_its_python_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'python3.12: command not found' >&2\nexit 127\n")
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert inspect("python3.12") is None


def test_an_interpreter_tells_its_version() -> None:
    found = inspect("python3")
    assert found is not None
    assert Path(found.path).exists()
    assert found.version >= (3, 8)
