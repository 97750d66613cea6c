"""The real inference node in a process of its own, cameras in theirs, and an arm and a hand in this one."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dynamo_policies.contract import Contract
from dynamo_policies.kinematics import chain
from dynamo_policies.limits import Limit
from dynamo_ros.faults.circling import READY
from dynamo_ros.faults.trial import with_deadman
from dynamo_ros.nodes.calls import STARTUP_S, Caller
from dynamo_ros.nodes.faults.arm import FollowingArm
from dynamo_ros.nodes.faults.bundle import write_onward
from dynamo_ros.nodes.faults.hand import HandOnDds
from dynamo_ros.nodes.faults.own_clock import OwnClock
from dynamo_ros.nodes.inference_client import InferenceClient
from dynamo_ros.nodes.spin import Life, life

NODE, CAMERA = "dynamo_ros.nodes.faults.policy", "dynamo_ros.nodes.faults.camera"
ASIDE_RAD = -0.6  # of the first joint: the tool has far to go along y
END_S = 20.0
GIVEN_UP_S = 21.0  # until the middleware takes a participant that was killed out of the graph
PATIENCE_S = 60.0
MOVED_COMMANDS = 50
LATELY_NS, MOVED_M = 300_000_000, 2e-3
FLOOD = "flood"
ANY = Limit(amber=None, red=None)


class Rig:
    """What a fault can be put into; `cameras`, `node` are processes, `arm` and `hand` are here."""

    def __init__(self, alive: Life, contract: Contract, folder: Path, camera_prefix: Sequence[str]) -> None:
        self.contract, self.caller, self._alive = contract, Caller(alive), alive
        self._bundle, self._contract_file = folder / "bundle", folder / "contract.yaml"
        self._switch, self._folder = folder / "switch", folder
        self._clocks: dict[str, OwnClock] = {}  # of processes that have one of their own
        self.spoil("sound")
        self._contract_file.write_text(contract.to_yaml())
        write_onward(self._bundle, contract)
        start = np.array(READY[contract.kinematics])
        start[0] += ASIDE_RAD
        self._start = start
        self.arm = FollowingArm(alive.node, contract, start)
        self.hand = HandOnDds(alive.node, contract)
        self.client = InferenceClient(alive.node, self.caller)
        self._prefix = list(camera_prefix)
        self.cameras = {name: self.start_camera(name) for name in (*contract.cameras, FLOOD)}
        self.node = self.start_node()

    @property
    def going_on(self) -> bool:
        """Whether nobody has asked for the end."""
        return self._alive.going_on

    def start_node(self) -> subprocess.Popen[bytes]:
        """Start the inference node; it waits to be configured."""
        settings = {"bundle": self._bundle, "contract": self._contract_file, "engine": "eager"}
        words = [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
        files = [str(self._switch), str(self._contract_file)]
        command = [sys.executable, "-m", NODE, *files, "--ros-args", *words]
        return subprocess.Popen(command, env=self._environ(NODE))

    def end_node(self) -> None:
        """End the inference node, whatever state it is in; `revive` starts another."""
        self.node.send_signal(signal.SIGCONT)
        self.node.terminate()
        end_within(self.node, END_S)

    def start_camera(self, name: str) -> subprocess.Popen[bytes]:
        """Start a camera, or what floods the node where it is told to."""
        command = [*self._prefix, sys.executable, "-m", CAMERA, name, str(self._contract_file)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environ(name))

    def end_camera(self, name: str) -> None:
        """End a camera; `revive` starts it again."""
        process = self.cameras[name]
        if process.poll() is None and process.stdin is not None:
            process.stdin.close()
        end_within(process, END_S)

    def give_clock(self, name: str) -> None:
        """End a camera, or NODE; `revive` starts it with a clock of its own. OwnClockError: there is none."""
        self._clocks[name] = OwnClock(self._folder, name)
        self._end_process(name)

    def jump(self, name: str, ahead_ns: int) -> None:
        """Set the clock that a camera, or NODE, was given; 0: right again."""
        self._clocks[name].set(ahead_ns)
        if name == NODE and ahead_ns:
            self.arm.ahead_ns = self.hand.ahead_ns = ahead_ns

    def take_clocks(self) -> None:
        """End what has a clock of its own; `revive` starts it with everybody's."""
        while self._clocks:
            self._end_process(self._clocks.popitem()[0])
        self.arm.ahead_ns = self.hand.ahead_ns = 0

    def tell(self, name: str, word: str) -> None:
        """Tell a camera what is wrong with it."""
        stdin = self.cameras[name].stdin
        assert stdin is not None
        stdin.write(f"{word}\n".encode())
        stdin.flush()

    def spoil(self, word: str) -> None:
        """Say what is wrong with the policy from now on."""
        self._switch.write_text(word)

    def kill_camera(self, name: str) -> None:
        """Kill a camera's process, -9."""
        process = self.cameras[name]
        process.kill()
        self.caller.until(lambda: process.poll() is not None, f"the end of {name}")

    def revive(self) -> None:
        """Start again what is dead, with the clock it had."""
        for name, process in self.cameras.items():
            if process.poll() is not None:
                self.cameras[name] = self.start_camera(name)
        if (ended := self.node.poll()) is not None:
            if ended == -signal.SIGKILL:  # Its services would be asked, and never answer.
                self.caller.pause(GIVEN_UP_S)
            self.node = self.start_node()

    def signal_node(self, number: signal.Signals) -> None:
        """Send the node a signal."""
        self.node.send_signal(number)

    def begin(self) -> bool:
        """Bring the arm to its first place, let the policy move it; return whether it moves steadily."""
        self.client.configure()
        self.client.ready()
        self.caller.until(self._cameras_are_there, "the cameras", STARTUP_S)
        self.arm.stand(self._start)
        self.hand.follows.ticks.clear()
        self.caller.pause(0.3)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.client.begin(next(iter(self.contract.tasks)))
            # A busy computer may hold the arm before it has moved; then another attempt is made.
            moved = self._go_on(len(self.arm.sent) + MOVED_COMMANDS) and not self.stopped and self.moves()
            if moved or time.monotonic() > deadline:
                return moved
            self.client.ready()

    def _cameras_are_there(self) -> bool:
        """Return whether every camera offers its images: processes take their time to start."""
        return all(self._alive.node.count_publishers(one.topic) for one in self.contract.cameras.values())

    def _go_on(self, count: int) -> bool:
        """Return whether `count` commands have been sent, in four times as long as they should take."""
        period_s = self.contract.arm.period_ns / 1e9
        self.caller.pause(MOVED_COMMANDS * period_s)
        for _ in range(3 * MOVED_COMMANDS):
            if len(self.arm.sent) >= count or self.stopped:
                break
            self.caller.pause(period_s)
        return len(self.arm.sent) >= count

    def moves(self) -> bool:
        """Return whether the tool was commanded to move lately."""
        recent = [one.joints for one in self.arm.sent if one.at_ns > time.time_ns() - LATELY_NS]
        if len(recent) < 2:
            return False
        places = chain(self.contract.kinematics).forward(
            np.array(recent), tool_offset_m=self.contract.tool_offset_m
        )[0]
        return bool(np.ptp(places, axis=0).max() > MOVED_M)

    @property
    def stopped(self) -> str:
        """Why the node says that it stopped, empty if it does not."""
        return self.arm.stops[-1] if self.arm.stops else ""

    def end(self) -> None:
        """End all processes, and the arm."""
        self.arm.end()
        if self.node.poll() is None:
            self.node.send_signal(signal.SIGCONT)
            self.node.terminate()
        for name in self.cameras:
            self.end_camera(name)
        end_within(self.node, END_S)

    def _end_process(self, name: str) -> None:
        if name == NODE:
            self.end_node()
        else:
            self.end_camera(name)

    def _environ(self, name: str) -> dict[str, str] | None:
        """Return what a process is started with, None: what this one was."""
        return self._clocks[name].environ() if name in self._clocks else None


def end_within(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until `process` has ended, and kill it if it has not."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)


@contextlib.contextmanager
def rig(contract: Contract, folder: Path, camera_prefix: Sequence[str] = ()) -> Iterator[Rig]:
    """Start everything, and end it; `camera_prefix` starts cameras elsewhere, as in another namespace."""
    from rclpy import create_node

    with life(lambda: create_node(f"faults_{os.getpid()}"), args=[]) as (alive, _node):
        made = Rig(alive, contract, folder, camera_prefix)
        try:
            yield made
        finally:
            made.end()


def for_rig(contract: Contract) -> Contract:
    """Return `contract` with a deadman and without limits on rates.

    Sensors that a busy computer slows down are to trip the gates, not to keep the policy from beginning. The
    controller reports where the messages that it reports by are installed.
    """
    quality = dataclasses.replace(contract.quality, rate=ANY, offset_ms=ANY)
    asked = with_deadman(dataclasses.replace(contract, quality=quality))
    gates = asked.gates
    deadman = dataclasses.replace(gates.deadman, button=None)
    there = importlib.util.find_spec(gates.robot_state.type.split("/")[0]) is not None
    robot_state = gates.robot_state if there else dataclasses.replace(gates.robot_state, topic=None)
    return dataclasses.replace(
        asked, gates=dataclasses.replace(gates, deadman=deadman, robot_state=robot_state)
    )
