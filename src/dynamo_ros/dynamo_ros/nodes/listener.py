"""Subscriptions that a thread of their own takes from, so that nothing else in the node waits for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.subscription import Subscription

from dynamo_ros.core.priority import set_realtime

# Nobody wakes the thread but messages; it looks this often whether it is to end.
WAIT_S, END_S = 0.1, 2.0


class Elsewhere(CallbackGroup):
    """The group of what the node's executor has to leave alone."""

    def can_execute(self, entity: Any) -> bool:  # noqa: ARG002  # as other groups'
        """Return False."""
        return False

    def beginning_execution(self, entity: Any) -> bool:  # noqa: ARG002  # as other groups'
        """Return False."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing: nothing begins."""


class Listener:
    """Calls the callbacks of `subscriptions`, of the group `Elsewhere`, with message and info until `close`.

    They are called on its thread. An exception of theirs ends it; the streams then go stale.
    """

    def __init__(self, node: Node, subscriptions: Sequence[Subscription], *, realtime: int = 0) -> None:
        """Begin; `realtime` is the thread's priority, 0: it is ordinary."""
        self._context, self._subscriptions = node.context, list(subscriptions)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()
        if realtime:  # Whether that is allowed, the node has told.
            set_realtime(realtime, [self._thread.native_id or 0])

    def close(self) -> None:
        """End the thread; the subscriptions may be destroyed after it."""
        self._ended.set()
        self._thread.join(END_S)

    def _listen(self) -> None:
        waiting = rclpy_implementation.WaitSet(len(self._subscriptions), 0, 0, 0, 0, 0, self._context.handle)
        while not self._ended.is_set() and self._context.ok():
            waiting.clear_entities()
            for one in self._subscriptions:
                waiting.add_subscription(one.handle)
            waiting.wait(int(WAIT_S * 1e9))
            ready = waiting.get_ready_entities("subscription")
            for one in self._subscriptions:
                if one.handle.pointer in ready:
                    self._take(one)

    def _take(self, subscription: Subscription) -> None:
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is not None:
            subscription.callback(*taken)
