import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dynamo_sim.stages import Stage, StageError, run_stages


def console() -> Console:
    return Console(file=StringIO(), width=200)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_stages_run_in_order_and_are_timed(tmp_path: Path) -> None:
    log = tmp_path / "order"
    stages = [
        Stage(name, python(f"open({str(log)!r}, 'a').write({name!r})"), 1, lambda: 0)
        for name in ("one", "two")
    ]
    seconds = run_stages(stages, tmp_path / "logs", console())
    assert log.read_text() == "onetwo"
    assert list(seconds) == ["one", "two"]


def test_a_failing_stage_shows_its_command_and_the_end_of_its_log_and_ends_the_run(tmp_path: Path) -> None:
    failing = Stage("break", python("print('the reason'); raise SystemExit(3)"), 1, lambda: 0)
    never = Stage("never", python(f"open({str(tmp_path / 'never')!r}, 'w')"), 1, lambda: 0)
    with pytest.raises(
        StageError, match=r"break: ended with status 3(.|\n)*SystemExit\(3\)(.|\n)*the reason"
    ):
        run_stages([failing, never], tmp_path / "logs", console())
    assert not (tmp_path / "never").exists()


def test_a_stage_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    hanging = Stage("hang", python("import time; time.sleep(60)"), 1, lambda: 0, limit_s=0.6)
    with pytest.raises(StageError, match="no end after 1 s"):
        run_stages([hanging], tmp_path / "logs", console())


def test_the_stage_gets_its_environment(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(os.environ['DYNAMO_TEST'] != 'yes')"
    run_stages(
        [Stage("env", python(code), 1, lambda: 0, {"DYNAMO_TEST": "yes"})], tmp_path / "logs", console()
    )
