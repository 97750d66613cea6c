"""Records every stream of a contract as it came, one bag an episode."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import Joy

from dynamo_policies.contract import Contract
from dynamo_policies.errors import ConfigError, DynamoError
from dynamo_ros.core.episode_buttons import EpisodeButtons
from dynamo_ros.core.gate_topics import gate_topics
from dynamo_ros.core.priority import set_priority
from dynamo_ros.core.provenance import provenance
from dynamo_ros.core.recorder import Recorder
from dynamo_ros.core.recording import EpisodeSummary, RecordingError, Topic, topics_of
from dynamo_ros.core.recording_plan import load_plan
from dynamo_ros.core.storage_settings import StorageSettings
from dynamo_ros.locations import find_contract
from dynamo_ros.nodes.cue import Cue
from dynamo_ros.nodes.definitions import definition_of, message_class
from dynamo_ros.nodes.episode_control import EpisodeControl
from dynamo_ros.nodes.lifecycle import FAILED, ManagedNode
from dynamo_ros.nodes.person_in import GRIPPER_TOPIC, HAND_TOPIC, POSE_TOPIC
from dynamo_ros.nodes.receive_times import ReceiveTimes
from dynamo_ros.nodes.recorder_state import StatePublisher
from dynamo_ros.nodes.settings import declared
from dynamo_ros.nodes.spin import run
from dynamo_ros.nodes.topic_subscriptions import Info, TopicSubscriptions

TEND_PERIOD_S, STATE_PERIOD_S = 0.1, 0.5
# Fast DDS announces a process every 3 s: what runs has then been found, also if it missed the first word.
SEARCH_S = 5.0
TEXTS = {
    "contract": "xarm_kitchen",
    "out": "bags",
    "plan": "",
    "robot_serial": "",
    "joy": "/joy",
    "cue": "none",
}
EXTRA = re.compile(r"(/[A-Za-z_]\w*)+:[a-z]\w*/msg/[A-Z]\w*", re.ASCII)
LISTS = ("extras", "extra_topics", "calibration", "buttons")


class RecorderNode(ManagedNode):
    """Hands messages to a Recorder and answers for it; episodes are possible while it is active.

    Parameters: `contract` (name or path), `out` (folder of the bags), `extras` (further topics, each as
    `topic:type`), `extra_topics` (regular expressions; what matches as a whole is recorded too, as far as it
    is there when an episode starts, and so is what stops or leads the robot), `preroll_s` (recorded from so
    long before the start), `search_s` (for so long after it came up, an episode waits for the streams that
    it could do without, such as commands), `plan` (YAML file, see `load_plan`), `robot_serial`, `calibration`
    (files to store with each bag), `buttons` (see `EpisodeButtons`) of the gamepad on `joy`, `cue` (bell,
    text, none), `priority` (nice value of the process, 0: as it was started), `autostart`, and those of
    `StorageSettings`.
    """

    def __init__(self, overrides: list[Parameter] | None = None) -> None:
        super().__init__("recorder_node", parameter_overrides=overrides)
        for name, default in TEXTS.items():
            self.declare_parameter(name, default)
        for name in LISTS:
            self.declare_parameter(name, [""])
        self.declare_parameter("preroll_s", 0.0)
        self.declare_parameter("search_s", SEARCH_S)
        self.declare_parameter("priority", 0)
        self._settings = declared(self, StorageSettings)
        self._recorder: Recorder | None = None
        self._parts: list[Any] = []
        if self.declare_parameter("autostart", True).value:  # noqa: FBT003 (rclpy takes no keyword here)
            self._configure()
            self.trigger_configure()
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to everything that is to be recorded, and offer the services."""
        try:
            if self._recorder is None:
                self._configure()
        except DynamoError as error:
            self.get_logger().error(str(error))
            return FAILED
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Allow episodes."""
        self._control.active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Save what an interrupted episode holds, and allow no more."""
        self._control.active = False
        self._interrupt()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to nothing any more."""
        self._forget()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Save what an interrupted episode holds, and end."""
        self._forget()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Save what an interrupted episode holds; its outcome is not known."""
        self._forget()
        super().destroy_node()

    def _configure(self) -> None:
        """Make everything from the parameters; DynamoError if they are not possible."""
        contract, folder = find_contract(self.text("contract")), Path(self.text("out")).expanduser()
        self._named = [*topics_of(contract), *map(_extra, self._list("extras"))]
        for topic in self._named:
            message_class(topic.type)  # An error now, not at the first publisher.
        self._patterns = [*map(_pattern, self._list("extra_topics")), *_listened_to(contract)]
        buttons, cue = EpisodeButtons(self._list("buttons")), Cue(self.text("cue"))
        self._recorder = recorder = self._make_recorder(contract, folder)
        self._prioritise(int(self.get_parameter("priority").value))
        # First, as the executor takes subscriptions in this order.
        self._times = ReceiveTimes(self)
        self._subscriptions_of_topics = TopicSubscriptions(self, self._saw)
        self._look_around()
        self._control = EpisodeControl(self, recorder, cue, look_around=self._look_around)
        self._state = StatePublisher(self, recorder, folder, self._settings.queue_bytes)
        if self._list("buttons"):
            press = partial(self._press, buttons)
            self._parts.append(self.create_subscription(Joy, self.text("joy"), press, 10))
        # For people: these go on when simulated time stands still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        search_s = float(self.get_parameter("search_s").value)
        self._search = self.create_timer(search_s, self._end_search, clock=steady)
        recorder.searching = True
        self._timers_of_parts = [
            self._search,
            self.create_timer(TEND_PERIOD_S, self._tend, clock=steady),
            self.create_timer(STATE_PERIOD_S, self._watch, clock=steady),
        ]

    def _prioritise(self, nice: int) -> None:
        if nice and (refusal := set_priority(nice)):
            self.get_logger().warning(refusal)

    def _make_recorder(self, contract: Contract, folder: Path) -> Recorder:
        origin = provenance(
            robot_serial=self.text("robot_serial"),
            calibration=self._list("calibration"),
            source=Path(__file__).resolve().parent,
        )
        plan = self.text("plan")
        return Recorder(
            contract,
            folder,
            versions={
                "rmw": get_rmw_implementation_identifier(),
                "dynamo": origin["git_revision"] or "released",
            },
            origin=origin,
            settings=self._settings,
            preroll_s=float(self.get_parameter("preroll_s").value),
            plan=load_plan(Path(plan).expanduser(), contract, folder) if plan else None,
        )

    def _saw(self, topic: str, cdr: bytes, info: Info) -> None:
        sequence = (
            info["publication_sequence_number"] if topic in self._subscriptions_of_topics.alone else None
        )
        receive_ns, publish_ns = self._times.of(info)
        self._recorder.saw(topic, cdr, receive_ns, publish_ns=publish_ns, sequence=sequence)

    def _press(self, buttons: EpisodeButtons, joy: Joy) -> None:
        for action in buttons.pressed(joy.buttons):
            self._control.press(action)

    def _tend(self) -> None:
        for summary in self._control.tend():
            self.get_logger().info(_told(summary))

    def _watch(self) -> None:
        if self._recorder.recording:
            self._subscriptions_of_topics.recount()
        else:
            self._look_around()
        self._subscriptions_of_topics.adapt(self._recorder.topics)
        self._state.publish(self._control.refusal)

    def _end_search(self) -> None:
        self._search.cancel()
        self._recorder.searching = False

    def _look_around(self) -> None:
        """Compare what is recorded, and how, with what there is."""
        topics = self._subscriptions_of_topics.look_around(self._named, self._patterns)
        self._recorder.listen(topics)
        self._subscriptions_of_topics.follow(topics)

    def _interrupt(self) -> None:
        if self._recorder is not None and self._recorder.recording:
            self.get_logger().warning("interrupted; how the episode went is not known")
            self._recorder.stop("", "interrupted")
            self._tend()

    def _forget(self) -> None:
        if self._recorder is None:
            return
        self._control.active = False
        self._interrupt()
        self._recorder.finish()
        for timer in self._timers_of_parts:
            self.destroy_timer(timer)
        for part in self._parts:
            self.destroy_subscription(part)
        self._parts.clear()
        for closing in (self._subscriptions_of_topics, self._times, self._control, self._state):
            closing.close()
        self._recorder = None

    def _list(self, name: str) -> list[str]:
        return [text for text in self.get_parameter(name).value if text]


def _extra(text: str) -> Topic:
    """Return the topic that `TOPIC:TYPE` names, with the definition of its type for the bag."""
    if EXTRA.fullmatch(text) is None:
        raise RecordingError(f"extra {text!r} is not of the form /topic:package/msg/Type")
    name, _, type_name = text.partition(":")
    return Topic(name, type_name, definition=definition_of(type_name))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigError(f"extra_topics {text!r} is no regular expression: {error}") from error


def _listened_to(contract: Contract) -> list[re.Pattern[str]]:
    """Return what matches the topics by which the robot may be stopped or led: replay hears some of them."""
    names = [*(one.topic for one in gate_topics(contract)), POSE_TOPIC]
    names += [GRIPPER_TOPIC] if contract.gripper is not None else []
    names += [HAND_TOPIC] if contract.hand is not None else []
    return [re.compile(re.escape(name)) for name in names]


def _told(summary: EpisodeSummary) -> str:
    size = f"{summary.messages} messages, {summary.bytes / 1e6:.1f} MB, {summary.dropped} dropped"
    return f"{summary.path}: {size}; {summary.remark}"


def main() -> int:
    """Run the recorder until it is interrupted."""
    return run(RecorderNode)
