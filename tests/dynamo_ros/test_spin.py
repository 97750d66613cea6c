import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dynamo_interfaces.srv import StartEpisode

from dynamo_ros.nodes.spin import PROFILE_VARIABLES
from ros_fixtures import Ros

PROGRAM = "from dynamo_ros.nodes.recorder_node import main; raise SystemExit(main())"
START_S = 240.0  # a busy computer takes its time to start a process, and to end it


@contextmanager
def recorder(
    out: Path, *words: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a recorder as a process of its own."""
    command = [sys.executable, "-c", PROGRAM, "--ros-args", "-p", f"out:={out}", *words]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_cleanly(ros: Ros, tmp_path: Path, number: signal.Signals) -> None:
    with recorder(tmp_path) as process:
        client = ros.node().create_client(StartEpisode, "/recorder/start")
        ros.until(client.service_is_ready, START_S, "the recorder's service")
        process.send_signal(number)
        assert process.wait(START_S) == 0


def test_a_node_that_can_not_start_says_why_in_one_line(ros_domain: int, tmp_path: Path) -> None:
    with recorder(tmp_path, "-p", "contract:=xarm_kitchn") as process:
        _, text = process.communicate(timeout=START_S)
    assert process.returncode == 1
    assert "did you mean 'xarm_kitchen'" in text
    assert "Traceback" not in text


def test_a_node_without_the_fast_dds_profile_says_so(ros: Ros, tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name not in PROFILE_VARIABLES}
    with recorder(tmp_path, environment=environment) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "WARN" in line)
    assert "camera images will be lost" in line
