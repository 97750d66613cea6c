"""A headset that sends synthetic hands over ZeroMQ, as Open-Teach's application does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import zmq
from rclpy.parameter import Parameter

from hands import hand, message
from ros_fixtures import Ros

ANY_PORT = [Parameter(f"{name}port", value=0) for name in ("", "gesture_", "resolution_", "pause_")]


class Headset:
    """Sends a hand at 60 Hz while it has one, to a listening node."""

    def __init__(self, ros: Ros, ports: list[int]) -> None:
        self._context = zmq.Context()
        self._sockets = [self._context.socket(zmq.PUSH) for _ in ports]
        for socket, port in zip(self._sockets, ports, strict=True):
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(f"tcp://127.0.0.1:{port}")
        self.hands: list[np.ndarray | None] = [None] * (len(ports) - 2)
        ros.node("headset").create_timer(1 / 60, self._send)

    def say(self, stream: int, message: bytes) -> None:
        """Send `message` once, on the stream of this number."""
        self._sockets[stream].send(message)

    def _send(self) -> None:
        for number, points in enumerate(self.hands):
            if points is not None:
                self.say(number, message(points))

    def close(self) -> None:
        for socket in self._sockets:
            socket.close()
        self._context.term()


class SimulatedTime(Protocol):
    """Whoever knows the simulation's time, which stands while the computer is held up."""

    @property
    def now_s(self) -> float:
        """The simulation's time, s."""


def let_pass(ros: Ros, time: SimulatedTime, seconds: float) -> None:
    """Spin until so much simulated time has passed."""
    until_s = time.now_s + seconds
    ros.until(lambda: time.now_s > until_s, what="simulated time to go on")


def pinch(
    ros: Ros, time: SimulatedTime, headset: Headset, wrist: Sequence[float], finger: str, number: int = 0
) -> None:
    """Show an open hand, a pinch long enough to be meant, and an open hand again, in simulated time."""
    for gap_m in (0.1, 0.0, 0.1):
        headset.hands[number] = hand(tuple(wrist), pinch=finger, gap_m=gap_m)
        let_pass(ros, time, 0.3)
