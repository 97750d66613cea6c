"""A camera in a process of its own; what goes wrong with it is asked for on stdin, a word a line.

`python -m dynamo_ros.nodes.faults.camera STREAM CONTRACT` publishes until stdin ends. The word `restart`
gives it a new DDS participant, `frozen` lets it repeat its last image; the others are DISTORTIONS. With
STREAM `flood` it publishes as fast as it can what floods the streams, or the executor, from the word of that
name to the next.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import rclpy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.streams import ImageStream
from dynamo_ros.faults import distortions as bad
from dynamo_ros.faults.distortions import Distortion, Line
from dynamo_ros.faults.sensors import camera

PERIOD_MS = 33.0  # about a camera's
DISTORTIONS: dict[str, Callable[[], Distortion]] = {
    "sound": lambda: bad.faithful,
    "silent": lambda: bad.silent,
    "stuck": lambda: bad.stuck_stamp(PERIOD_MS),
    "ahead": lambda: bad.ahead(200.0),
    "slow": lambda: bad.slowed(2.0),
    "late": lambda: bad.delayed(500.0),
    "reordered": lambda: bad.reordered(60.0),
    "half_height": bad.half_height,
    "other_encoding": bad.other_encoding,
}
FLOOD_S = 2e-4


class Camera:
    """Publishes a stream's images, as they are or distorted."""

    def __init__(self, name: str, stream: ImageStream) -> None:
        self._name, self._stream, self._make = name, stream, camera(stream, seed=0)
        self._line = Line()
        self._join()

    def restart(self) -> None:
        """Leave the network and come back."""
        self.leave()
        self._join()

    def leave(self) -> None:
        """Leave the network."""
        self._node.destroy_node()
        rclpy.shutdown()

    def obey(self, word: str) -> None:
        """Do what a line of stdin asks for."""
        if word == "restart":
            self.restart()
        elif word == "frozen":
            self._line.distort = bad.frozen("data", self._line.last)
        else:
            self._line.distort = DISTORTIONS[word]()

    def show(self) -> None:
        """Take an image, and publish what has come through by now."""
        now_ns = time.time_ns()
        for message in self._line.carry(self._make(now_ns), now_ns):
            self._publisher.publish(to_image(message))

    def _join(self) -> None:
        rclpy.init()
        self._node = rclpy.create_node(f"faulty_{self._name}")
        self._publisher = self._node.create_publisher(Image, self._stream.topic, QoSProfile(depth=20))


def to_image(plain: Any) -> Image:
    """Return the message of a plain object with its fields."""
    message = Image(height=plain.height, width=plain.width, encoding=plain.encoding, step=plain.step)
    message.header.stamp.sec, message.header.stamp.nanosec = (
        plain.header.stamp.sec,
        plain.header.stamp.nanosec,
    )
    message.data = plain.data
    return message


def show(name: str, contract: Contract, words: SimpleQueue[str]) -> None:
    """Be a camera until an empty word comes."""
    stream = contract.cameras[name]
    shown, due = Camera(name, stream), time.monotonic()
    while True:
        try:
            word = words.get(timeout=max(0.0, due - time.monotonic()))
        except Empty:
            shown.show()
            due += 1.0 / stream.rate_hz
            continue
        if not word:
            return shown.leave()
        shown.obey(word)


def flood(contract: Contract, words: SimpleQueue[str]) -> None:
    """Publish joint states of nobody, or that the e-stop is not pressed, until an empty word comes."""
    rclpy.init()
    node = rclpy.create_node("flood")
    joints = contract.streams[contract.arm_stream].topic
    floods: dict[str, tuple[Any, str]] = {
        # Taken by a thread of the node's own.
        "streams": (JointState(name=["nobody"], position=[0.0]), joints),
        "executor": (Bool(), contract.gates.estop.topic),
    }
    while word := words.get():
        if word not in floods:
            continue
        message, topic = floods[word]
        # Not there before: where the arm has a topic for itself, the node begins with no second publisher.
        publisher = node.create_publisher(type(message), topic, 10)
        while words.empty():
            publisher.publish(message)
            time.sleep(FLOOD_S)
        node.destroy_publisher(publisher)
    node.destroy_node()
    rclpy.shutdown()


def _listen(words: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        words.put(line.strip())
    words.put("")


def main() -> None:
    """Be what the arguments ask for."""
    name, contract = sys.argv[1], load_contract(sys.argv[2])
    words: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(words,), daemon=True).start()
    if name == "flood":
        flood(contract, words)
    else:
        show(name, contract, words)


if __name__ == "__main__":
    main()
