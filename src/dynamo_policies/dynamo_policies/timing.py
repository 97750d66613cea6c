"""The `timing:` of a contract: how old what a command rests on may be."""

from __future__ import annotations

from dataclasses import dataclass

from dynamo_policies.checks import check_positive


@dataclass(frozen=True, kw_only=True)
class TimingLimits:
    """`capture_to_command_ms`: from the stamp of the oldest image of the newest plan to a command by it.

    Without, it is as many policy periods as the gate `plan` waits for an action. A plan that comes later is
    dropped, and where no newer one comes the arm holds.
    """

    capture_to_command_ms: float | None = None

    def __post_init__(self) -> None:
        if self.capture_to_command_ms is not None:
            check_positive("capture_to_command_ms", self.capture_to_command_ms)
