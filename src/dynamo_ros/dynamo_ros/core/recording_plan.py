"""What a session is to record: how many successes of each task, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dynamo_policies.bag_info import BagError, read_metadata
from dynamo_policies.bags import find_bags
from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError


class PlannedTask(NamedTuple):
    """A task with its successes so far and those wanted."""

    task: str
    done: int
    wanted: int


class RecordingPlan:
    """Counts successes; the next task is the first one in the plan's order that has too few."""

    def __init__(
        self, wanted: Mapping[str, int] | None = None, done: Mapping[str, int] | None = None
    ) -> None:
        self._wanted, self._done = dict(wanted or {}), Counter(done or {})

    @property
    def tasks(self) -> list[PlannedTask]:
        """The tasks of the plan in its order."""
        return [PlannedTask(task, self._done[task], wanted) for task, wanted in self._wanted.items()]

    @property
    def next_task(self) -> str:
        """What comes next, empty where the plan is done or there is none."""
        return next((one.task for one in self.tasks if one.done < one.wanted), "")

    def count(self, task: str, outcome: str, by: int = 1) -> None:
        """Count an episode that ended so; `by` of -1 takes one back."""
        if outcome == "success":
            self._done[task] += by


def load_plan(path: Path, contract: Contract, bags: Path) -> RecordingPlan:
    """Return the plan in the YAML file `path`: a mapping `tasks` of task to count. `bags` has what is done.

    Raises:
        ConfigError: the file can't be read, is no such mapping, or names a task that the contract has not.
    """
    try:
        loaded: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"session plan {path} can't be read: {error}") from error
    tasks = loaded.get("tasks") if isinstance(loaded, dict) else None
    if not isinstance(tasks, dict) or not tasks:
        raise ConfigError(f"session plan {path} has no mapping `tasks` such as {{{_example(contract)}: 24}}")
    for task, count in tasks.items():
        contract.task(str(task))
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(
                f"session plan {path}: {task!r} is wanted {count!r} times; at least 1 is possible"
            )
    return RecordingPlan(tasks, successes(bags))


def successes(bags: Path) -> Counter[str]:
    """Return task -> successful episodes in the folder `bags`; bags that can't be read are left out."""
    found: Counter[str] = Counter()
    try:
        paths = find_bags(bags)
    except BagError:
        return found
    for custom in map(_custom_data, paths):
        if custom.get("outcome") == "success":
            found[str(custom.get("task"))] += 1
    return found


def _custom_data(path: Path) -> dict[str, Any]:
    try:
        custom = read_metadata(path).get("custom_data")
    except BagError:
        return {}
    return custom if isinstance(custom, dict) else {}


def _example(contract: Contract) -> str:
    return next(iter(contract.tasks))
