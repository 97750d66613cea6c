"""Waiting for the disk on a thread of its own, so that who writes does not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Syncer:
    """Calls `sync` when asked to, one call at a time; what is asked for meanwhile is one call more.

    A disk that is busy may take seconds for one, in which a recorder would hand nothing to the system.
    """

    def __init__(self, sync: Callable[[], None], errors: tuple[type[Exception], ...], *, name: str) -> None:
        self.error: Exception | None = None  # one of `errors`, after which nothing is synced any more
        self._sync, self._errors = sync, errors
        self._asked, self._ending = threading.Event(), False
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have everything that was written until now synced, soon."""
        self._asked.set()

    def end(self) -> None:
        """Wait until the call that is under way is done, and make no more."""
        self._ending = True
        self._asked.set()
        self._thread.join()

    def _live(self) -> None:
        while self._asked.wait() and not self._ending and self.error is None:
            self._asked.clear()
            try:
                self._sync()
            except self._errors as error:
                self.error = error
