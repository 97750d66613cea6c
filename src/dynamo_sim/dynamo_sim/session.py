"""The plan of a session of demonstrations: which task comes next, from which start, and when it is enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dynamo_policies.errors import DynamoError

# A demonstrator that fails more often than it succeeds should not go on.
ATTEMPTS_PER_EPISODE, SPARE_ATTEMPTS = 2, 3


class SessionError(DynamoError):
    """A session can't go on."""


class Attempt(NamedTuple):
    """One attempt at a task, from the start state `seed`."""

    task: str
    seed: int


class SessionPlan:
    """Asks for attempts until every task has `episodes` successes; the tasks take turns.

    A failed attempt is followed by another one from a further start, at most twice `episodes` and three per
    task.
    """

    def __init__(self, tasks: Sequence[str], *, episodes: int, seed: int) -> None:
        if not tasks or episodes < 1:
            raise SessionError(f"nothing to do: tasks {list(tasks)}, {episodes} episodes each")
        self._episodes, self._seed = episodes, seed
        self._attempts = dict.fromkeys(tasks, 0)
        self._successes = dict.fromkeys(tasks, 0)

    @property
    def wanted(self) -> int:
        """How many successes the session is to have."""
        return self._episodes * len(self._successes)

    @property
    def reached(self) -> int:
        """How many successes there are."""
        return sum(self._successes.values())

    def attempts(self) -> Iterator[Attempt]:
        """Yield the next attempt; say with `note` what became of it before asking for another.

        Raises:
            SessionError: a task has used up its attempts.
        """
        while open_tasks := [task for task, count in self._successes.items() if count < self._episodes]:
            task = min(open_tasks, key=lambda name: self._attempts[name])
            tried = self._attempts[task]
            if tried >= ATTEMPTS_PER_EPISODE * self._episodes + SPARE_ATTEMPTS:
                raise SessionError(
                    f"only {self._successes[task]} of {tried} attempts at {task} succeeded; giving up"
                )
            self._attempts[task] += 1
            yield Attempt(task, self._seed + tried)

    def note(self, attempt: Attempt, *, success: bool) -> None:
        """Take note of what became of an attempt."""
        self._successes[attempt.task] += success
