"""A stream of commands through a service: one call at a time, and the newest command wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dynamo_ros.core.free_drive import RETURNS
from dynamo_ros.drivers.bus import Service

W = TypeVar("W")


class LatestCall(Generic[W]):
    """Calls `service` for each wish, never waiting: while a call is in flight the newest wish waits.

    `make` turns a wish into the request at the moment of the call, so that it may depend on what was sent
    before. Older wishes that waited are dropped and counted, as are calls that were refused (a return code
    other than 0) or not answered for `patience_ns`.
    """

    def __init__(self, service: Service, make: Callable[[W], Any], *, patience_ns: int) -> None:
        self._service, self._make, self._patience_ns = service, make, patience_ns
        self.sent = self.dropped = self.refused = self.unanswered = 0
        self.forget()

    def forget(self) -> None:
        """Forget what waits, what is in flight and what went wrong."""
        self._service.forget()
        self._waiting: W | None = None
        self._flying = self._now_ns = 0
        self._is_flying = False
        self._flown_ns = 0
        self._failing_ns: int | None = None
        self._why = ""

    def offer(self, wish: W, now_ns: int) -> None:
        """Call for `wish` now, or as soon as the call in flight is answered."""
        self._now_ns = now_ns
        if self._is_flying and now_ns - self._flown_ns > self._patience_ns:
            self.unanswered += 1
            self._service.forget()
            self._fail(f"{self._service.name} does not answer", self._flown_ns)
            self._is_flying = False
        if self._is_flying:
            self.dropped += self._waiting is not None
            self._waiting = wish
        else:
            self._fly(wish)

    def press(self, wish: W, now_ns: int) -> None:
        """Call for `wish` at once, whatever is in flight: no command of a stop may be dropped."""
        self._now_ns = now_ns
        self._fly(wish)

    def drop(self) -> None:
        """Forget what waits: nothing follows the call in flight but what is offered or pressed anew."""
        self.dropped += self._waiting is not None
        self._waiting = None

    def failure(self) -> str:
        """Return why calls have failed for longer than `patience_ns`, an empty text if they have not."""
        lasting = self._failing_ns is not None and self._now_ns - self._failing_ns >= self._patience_ns
        return self._why if lasting else ""

    def _fly(self, wish: W) -> None:
        self._waiting, self._is_flying, self._flown_ns = None, True, self._now_ns
        self._flying += 1
        flight = self._flying
        self.sent += 1
        self._service.call(self._make(wish), lambda response: self._answered(flight, response))

    def _answered(self, flight: int, response: Any) -> None:
        if flight != self._flying or not self._is_flying:
            return
        self._is_flying = False
        if response.ret == 0:
            self._failing_ns = None
        else:
            self.refused += 1
            why = RETURNS.get(response.ret, "unknown code")
            text = f"{self._service.name} returned {response.ret} ({why}) {response.message}".rstrip()
            self._fail(text, self._now_ns)
        if self._waiting is not None:
            self._fly(self._waiting)

    def _fail(self, why: str, since_ns: int) -> None:
        self._why = why
        self._failing_ns = since_ns if self._failing_ns is None else self._failing_ns
