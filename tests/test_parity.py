"""What the network sees on the robot is what it sees in training, frame for frame."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.parameter import Parameter
from rosidl_runtime_py.utilities import get_message

from dynamo_policies.align import Aligner
from dynamo_policies.bags import find_bags
from dynamo_policies.contract import Contract
from dynamo_policies.decode import Decoder, FrameSettings
from dynamo_policies.episodes import load_episode
from dynamo_policies.observation import Observation
from dynamo_ros.nodes.messages import now_ns
from dynamo_ros.nodes.qos import recording_qos
from ros_fixtures import Ros

FRAMES = FrameSettings(size=96)


class LiveObserver:
    """Observes every tick by the decoder and the aligner of the inference node, once all of it has come.

    It waits for messages that a busy computer delivers late, and has room for them.
    """

    def __init__(self, ros: Ros, contract: Contract) -> None:
        self._contract, self._decoder = contract, Decoder(contract, FRAMES)
        self._aligner, self._due_ns = Aligner(contract), 0
        self._newest_ns = {name: 0 for name, one in contract.observed.items() if one.max_age_ns is not None}
        self.observations: dict[int, Observation] = {}
        self._node = ros.node("observer")
        self._node.set_parameters([Parameter("use_sim_time", value=True)])
        for topic in {stream.topic for stream in contract.observed.values()}:
            names = [name for name, stream in contract.observed.items() if stream.topic == topic]
            stream = contract.streams[names[0]]
            self._node.create_subscription(
                get_message(stream.type),
                topic,
                lambda message, n=names: self._hear(n, message),
                recording_qos(stream, seconds=20.0),
            )

    def _hear(self, names: list[str], message: object) -> None:
        for name in names:
            sample = self._decoder.decode(name, message, now_ns(self._node.get_clock()))
            if sample is not None:
                self._aligner.push(sample)
                if name in self._newest_ns:
                    self._newest_ns[name] = sample.stamp_ns

    def look(self) -> None:
        """Take the observations of all ticks after which every steady stream has spoken.

        What comes on a topic comes in order: of what was before such a tick nothing is still to come.
        """
        until_ns, period_ns = min(self._newest_ns.values()), self._contract.period_ns
        self._due_ns = self._due_ns or until_ns // period_ns * period_ns
        while self._due_ns < until_ns:
            self.observations[self._due_ns] = self._aligner.observe(self._due_ns)
            self._due_ns += period_ns


@contextlib.contextmanager
def recording(out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Record one episode over ROS, in processes of its own.

    Slower than real time, so that no queue runs over: the claim is that both sides decode and align alike,
    not that a busy computer is fast.
    """
    arguments = ["episodes:=1", "tasks:=put_yogurt", "seed:=3", "rtf:=0.4", f"out:={out}"]
    command = ["ros2", "launch", "dynamo_ros", "record.launch.py", *arguments]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=120)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_live_observations_equal_those_read_from_the_bag(
    ros: Ros, contract: Contract, tmp_path: Path
) -> None:
    observer = LiveObserver(ros, contract)
    with recording(tmp_path / "bags") as process:

        def ended() -> bool:
            observer.look()
            return process.poll() is not None

        ros.until(ended, timeout_s=900.0, what="the end of the recording")
    (bag,) = find_bags(tmp_path / "bags")
    episode = load_episode(bag, FRAMES)
    # Recorder and observer find each topic at moments of their own; half a second later every tick counts.
    found_ns = min(tick for tick, live in observer.observations.items() if live.valid) + 500_000_000
    both = [
        (i, observer.observations[tick])
        for i, tick in enumerate(episode.tick_ns)
        if tick in observer.observations and tick >= found_ns
    ]
    assert len(both) > 0.9 * len(episode) > 60
    differing = [
        (int(episode.tick_ns[i]), camera)
        for i, live in both
        for camera in contract.cameras
        if not np.array_equal(live.images[camera], episode.images[camera][i])
    ]
    assert differing == []
    states = [
        (i, (live.state - episode.state[i]).tolist())
        for i, live in both
        if (live.state != episode.state[i]).any()
    ]
    assert states == []
    assert [i for i, live in both if live.valid != episode.valid[i]] == []
