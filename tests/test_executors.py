"""Only the single-threaded executor: with rclpy 7.1.6 the others starve callbacks or deliver none."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = re.compile(r"\b(MultiThreadedExecutor|EventsExecutor)\b")


def test_no_code_uses_an_executor_that_starves_callbacks() -> None:
    files = [path for folder in ("src", "launch", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert files
    assert not [str(path) for path in files if FORBIDDEN.search(path.read_text(encoding="utf-8"))]
