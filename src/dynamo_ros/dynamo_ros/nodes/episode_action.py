"""The action `/recorder/record`: an episode that ends by a stop, by cancelling or by its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynamo_interfaces.action import RecordEpisode
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.recorder import Ending, Recorder
from dynamo_ros.core.recording import EpisodeSummary
from dynamo_ros.nodes.messages import now_ns

Start = Callable[[str, str, str], str]
End = Callable[[str, str], Ending]
CANCELLED, TIMED_OUT = "cancelled", "max_seconds have passed"


class EpisodeAction:
    """Keeps the one goal there may be until its episode is over.

    Its callback runs at the end alone: rclpy 7 polls one that waits, which would take a core.
    """

    def __init__(self, node: Node, recorder: Recorder, start: Start, end: End) -> None:
        self._node, self._recorder, self._start, self._end = node, recorder, start, end
        self._goal: ServerGoalHandle | None = None
        self._path = Path()
        self._result = RecordEpisode.Result()
        self._server = ActionServer(
            node,
            RecordEpisode,
            "/recorder/record",
            execute_callback=self._conclude,
            goal_callback=lambda _goal: GoalResponse.REJECT if self._goal else GoalResponse.ACCEPT,
            handle_accepted_callback=self._begin,
            cancel_callback=self._cancel,
        )

    def tend(self, ended: list[EpisodeSummary]) -> None:
        """Tell how far the goal's episode is, end it in time, and answer when it is complete."""
        if self._goal is None:
            return
        for summary in ended:
            if summary.path.name.strip(".").removesuffix(".part") == self._path.name:
                self._answer(_result(summary))
                return
        status = self._recorder.status(now_ns(self._node.get_clock()))
        if status.path != self._path:
            return
        longest = self._goal.request.max_seconds
        self._goal.publish_feedback(
            RecordEpisode.Feedback(seconds=status.seconds, messages=status.messages, dropped=status.dropped)
        )
        if longest and status.seconds >= longest:
            self._end("", TIMED_OUT)

    def discarded(self, path: Path | None, why: str) -> None:
        """Answer that there is no bag, if `path` is where the goal's would have been."""
        if self._goal is not None and path == self._path:
            self._answer(RecordEpisode.Result(message=f"discarded: {why}"))

    def close(self) -> None:
        """Offer the action no more."""
        self._server.destroy()

    def _begin(self, goal: ServerGoalHandle) -> None:
        self._goal, asked = goal, goal.request
        try:
            self._path = Path(self._start(asked.task, asked.operator_name, asked.note))
        except DynamoError as error:
            self._answer(RecordEpisode.Result(message=str(error)))

    def _cancel(self, _goal: ServerGoalHandle) -> CancelResponse:
        if self._recorder.status(0).path == self._path:
            self._end("", CANCELLED)
        return CancelResponse.ACCEPT

    def _answer(self, result: RecordEpisode.Result) -> None:
        goal, self._goal, self._result = self._goal, None, result
        assert goal is not None
        goal.execute()

    def _conclude(self, goal: ServerGoalHandle) -> RecordEpisode.Result:
        if goal.is_cancel_requested:
            goal.canceled()
        elif self._result.success:
            goal.succeed()
        else:
            goal.abort()
        return self._result


def _result(summary: EpisodeSummary) -> RecordEpisode.Result:
    return RecordEpisode.Result(
        success=not summary.error,
        message=summary.remark,
        path=str(summary.path),
        outcome=summary.outcome,
        verdict=summary.colour,
        messages=summary.messages,
        dropped=summary.dropped,
    )
