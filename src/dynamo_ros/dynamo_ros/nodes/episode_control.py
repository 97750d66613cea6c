"""The services, the action and the buttons by which episodes are controlled."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from dynamo_interfaces.srv import MarkEpisode, MarkMoment, StartEpisode, StopEpisode
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from dynamo_policies.errors import DynamoError
from dynamo_ros.core.recorder import Ending, Recorder
from dynamo_ros.core.recording import EpisodeSummary, RecordingError
from dynamo_ros.nodes.cue import Cue
from dynamo_ros.nodes.episode_action import EpisodeAction
from dynamo_ros.nodes.messages import now_ns

WAIT_S = 0.002  # Turns of the executor without a pause would take a core.


class Turn:
    """Waiting for one turn of the executor: other callbacks run meanwhile."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class EpisodeControl:
    """Answers for a Recorder, with services from `start` to `next`."""

    def __init__(self, node: Node, recorder: Recorder, cue: Cue, *, look_around: Callable[[], None]) -> None:
        """`look_around` is called before each start, so that topics that have just come are recorded."""
        self._node, self._recorder, self._cue, self._look_around = node, recorder, cue, look_around
        self.active = False
        self.refusal = ""  # why the last request was refused
        self._cued = ""  # the failure that was cued last
        services: Sequence[tuple[type, str, Callable[..., Any]]] = (
            (StartEpisode, "start", self._start),
            (StopEpisode, "stop", self._stop),
            (Trigger, "discard", self._discard),
            (MarkEpisode, "mark", self._mark),
            (MarkMoment, "moment", self._moment),
            (Trigger, "redo", self._redo),
            (Trigger, "next", self._next),
        )
        # A call that waits for the disk would keep everything of the node's own group from running.
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(kind, f"/recorder/{name}", callback, callback_group=group)
            for kind, name, callback in services
        ]
        self._action = EpisodeAction(node, recorder, self.start, self.end)

    def start(self, task: str, operator: str = "", note: str = "") -> str:
        """Begin an episode and return where its bag will be; an empty task is what the plan has next."""
        self._check_active()
        self._look_around()
        path = self._recorder.start(task, self._now_ns(), operator=operator, note=note)
        return self._started(str(path))

    def end(self, outcome: str = "", note: str = "") -> Ending:
        """End the episode; the bag is completed behind the scenes."""
        ending = self._recorder.end(outcome, note)
        self._cue.give(ending.outcome, ending.task)
        return ending

    def press(self, action: str) -> None:
        """Do what a button or key stands for; a refusal is told, as nobody waits for an answer."""
        deeds: dict[str, Callable[[], object]] = {
            "start": lambda: self.start(""),
            "success": lambda: self.end("success"),
            "failure": lambda: self.end("failure"),
            "discard": self.discard,
            "redo": self.redo,
            "moment": lambda: self.moment("button"),
        }
        try:
            deeds[action]()
        except DynamoError as error:
            self._refused(error)

    def discard(self) -> str:
        """End the episode and delete what was written."""
        path = self._recorder.discard()
        self._cue.give("discard", path.name)
        self._action.discarded(path, path.name)
        return path.name

    def redo(self) -> str:
        """Discard the episode, or set the last one aside, and start the same task again."""
        self._check_active()
        self._action.discarded(self._recorder.status(0).path, "begun again")
        return self._started(str(self._recorder.redo(self._now_ns())))

    def moment(self, text: str) -> None:
        """Mark this moment in the bag."""
        self._recorder.moment(text, self._now_ns())
        self._cue.give("moment", text)

    def tend(self) -> list[EpisodeSummary]:
        """End what has lasted long enough, and return the episodes that are complete since the last call."""
        before, ended = self._recorder.recording, self._recorder.tend()
        news = any(summary.error not in self._cued for summary in ended)
        if before != self._recorder.recording or news:
            self._cued = self._recorder.failure
            self._cue.give("failed", self._cued)  # Nobody asked for that.
        self._action.tend(ended)
        return ended

    def close(self) -> None:
        """Offer nothing any more."""
        for service in self._services:
            self._node.destroy_service(service)
        self._action.close()

    def _start(self, request: StartEpisode.Request, response: StartEpisode.Response) -> StartEpisode.Response:
        try:
            response.path = self.start(request.task, request.operator_name, request.note)
        except DynamoError as error:
            response.message = self._refused(error)
            return response
        response.success = True
        return response

    async def _stop(
        self, request: StopEpisode.Request, response: StopEpisode.Response
    ) -> StopEpisode.Response:
        """Answer when the bag is complete; messages and other calls go on meanwhile."""
        try:
            ending = self.end(request.outcome, request.note)
        except DynamoError as error:
            response.message = self._refused(error)
            return response
        while not ending.done:
            if not self._recorder.recording:  # Else messages come all the time: none may wait for an old bag.
                ending.wait(WAIT_S)
            await Turn()
        summary = ending.summary()
        response.success, response.message = not summary.error, summary.remark
        response.path = str(summary.path)
        response.messages, response.dropped = summary.messages, summary.dropped
        return response

    def _discard(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, lambda: f"{self.discard()} discarded")

    async def _mark(
        self, request: MarkEpisode.Request, response: MarkEpisode.Response
    ) -> MarkEpisode.Response:
        return await self._answer_when_saved(
            response, lambda: str(self._recorder.mark(request.outcome, request.note))
        )

    def _moment(self, request: MarkMoment.Request, response: MarkMoment.Response) -> MarkMoment.Response:
        return self._answer(response, lambda: self.moment(request.text) or "")

    async def _redo(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return await self._answer_when_saved(response, self.redo)

    def _next(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._answer(response, lambda: self.start(""))

    async def _answer_when_saved(self, response: Any, deed: Callable[[], str]) -> Any:
        """Let others run until `deed` can be done to the last episode without waiting, and answer."""
        begun = self._recorder.begun
        while not self._recorder.recording and not self._recorder.settled(WAIT_S):
            await Turn()

        def done_to_the_same() -> str:
            if self._recorder.begun != begun:
                raise RecordingError("an episode began meanwhile; ask again")
            return deed()

        return self._answer(response, done_to_the_same)

    def _answer(self, response: Any, deed: Callable[[], str]) -> Any:
        """Return the response that tells what came of `deed`."""
        try:
            response.message = deed()
        except DynamoError as error:
            response.message = self._refused(error)
            return response
        response.success = True
        return response

    def _started(self, path: str) -> str:
        self.refusal = ""
        self._cue.give("start", path)
        if self._recorder.warning:
            self._node.get_logger().warning(self._recorder.warning)
        return path

    def _refused(self, error: DynamoError) -> str:
        self.refusal = str(error)
        self._node.get_logger().warning(self.refusal)
        self._cue.give("refused")
        return self.refusal

    def _check_active(self) -> None:
        if not self.active:
            raise RecordingError("the recorder is not active; activate it first")

    def _now_ns(self) -> int:
        return now_ns(self._node.get_clock())
