"""How every node of this project lives: one thread, one executor, a clean end."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import get_rmw_implementation_identifier, try_shutdown

from dynamo_policies.errors import DynamoError

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
# A signal only sets a flag; it is looked at this often while nothing else happens.
IDLE_S = 0.1
# Longer than a recorder needs to complete its bag.
END_S = 75
ENDED_LATE = -signal.SIGALRM  # the exit code, as subprocess tells it
N = TypeVar("N", bound=Node)


class Life:
    """A node with its executor, until it ends itself or a signal asks for it."""

    def __init__(self, node: Node, ended: threading.Event) -> None:
        self.node = node
        self._ended = ended
        # The multi-threaded executor of rclpy 7 starves its own timers and the events executor spins in vain;
        # work that takes long belongs on a thread of its own.
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    @property
    def going_on(self) -> bool:
        """Whether nobody has asked for the end yet."""
        return not self._ended.is_set() and self._executor.context.ok()

    def spin_once(self, timeout_s: float = IDLE_S) -> None:
        """Run the next callback, waiting at most `timeout_s` for one."""
        self._executor.spin_once(timeout_sec=timeout_s)

    def end(self) -> None:
        """Release the executor and the node; Fast DDS leaks its shared memory where this is left out."""
        self._executor.shutdown()
        self.node.destroy_node()


@contextmanager
def life(make_node: Callable[[], N], args: Sequence[str] | None = None) -> Iterator[tuple[Life, N]]:
    """Start rclpy and the node; at the end, also by a signal, destroy it while its topics still work."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    # Our handlers, not rclpy's: its own take the context away before a node can say its last words.
    rclpy.init(args=list(args) if args is not None else None, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make_node()
        alive = Life(node, ended)
        try:
            warn_without_profile(node)
            yield alive, node
        finally:
            alive.end()
    finally:
        try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


def spin(alive: Life, _node: Node) -> None:
    """Run callbacks until the end."""
    while alive.going_on:
        alive.spin_once()


def run(make_node: Callable[[], N], live: Callable[[Life, N], None] = spin) -> int:
    """Make the node, let it `live` and return the exit code, 1 after a DynamoError. A process's last act."""
    code = 0
    try:
        with life(make_node) as (alive, node):
            try:
                live(alive, node)
            except DynamoError as error:
                node.get_logger().fatal(str(error))
                code = 1
            _end_within(END_S, code)
    except DynamoError as error:  # from `make_node`: there is no node yet
        rclpy.logging.get_logger("dynamo").fatal(str(error))
        return 1
    return code


def _end_within(seconds: int, code: int) -> None:
    """Let the system end this process `seconds` from now, however the middleware hangs: Python is not needed.

    A process whose work was done then ends by SIGALRM, one that failed with code 1.
    """
    if code:
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)


def warn_without_profile(node: Node) -> None:
    """Say once that large messages will be lost because our Fast DDS profile is not in force."""
    if get_rmw_implementation_identifier() != "rmw_fastrtps_cpp":
        return
    if not any(Path(os.environ.get(name, "")).is_file() for name in PROFILE_VARIABLES):
        node.get_logger().warning(
            f"neither {' nor '.join(PROFILE_VARIABLES)} names a file: camera images will be lost; "
            "start the node with our launch files or source env.sh"
        )
