"""What each plan of a policy took, as text: how the inference node tells it on ~/timing and bags keep it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dynamo_policies.errors import DynamoError

MESSAGE = "diagnostic_msgs/msg/DiagnosticArray"
PLANS = "plans"  # the name of the status that holds one value for each plan
STAGE = "stage "  # what the names of the others begin with


class PlanTimesError(DynamoError):
    """A text does not say what a plan took."""


class PlanTimes(NamedTuple):
    """What one plan took, from the capture of its images to its first command."""

    tick_ns: int
    captured_ns: int  # the stamp of its oldest image
    begun_ns: int  # when its observation was taken
    accepted_ns: int  # when it began to be commanded
    stages_ms: Mapping[str, float]

    @property
    def age_ms(self) -> float:
        """How old its oldest image was when the first command by it was given."""
        return (self.accepted_ns - self.captured_ns) / 1e6


def to_text(plan: PlanTimes) -> tuple[str, str]:
    """Return `plan` as key and value of a diagnostic_msgs/KeyValue."""
    stages = [f"{name}={value:.4f}" for name, value in plan.stages_ms.items()]
    return str(plan.tick_ns), " ".join([*map(str, plan[1:4]), *stages])


def from_text(key: str, value: str) -> PlanTimes:
    """Return what `to_text` wrote.

    Raises:
        PlanTimesError: it is not such a text.
    """
    try:
        captured, begun, accepted, *stages = value.split()
        pairs = [stage.split("=") for stage in stages]
        taken = {name: float(number) for name, number in pairs}
        return PlanTimes(int(key), int(captured), int(begun), int(accepted), taken)
    except ValueError as error:
        raise PlanTimesError(f"{key}: {value!r} does not say what a plan took: {error}") from error
