import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynamo_policies.errors import ConfigError
from dynamo_policies.observation import Pose, Target
from dynamo_ros.core.hand_to_arm import HandArmSettings, HandToArm
from dynamo_ros.core.hand_tracking import Hand, hand_frame
from hands import hand

STEP_NS = 11_000_000  # 90 Hz
WRIST = np.array([0.1, 1.2, 0.3])
# Tool down, x forward: the orientation of Open-Teach's home pose.
MEASURED = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
EXACT = HandArmSettings(keep=0.0)


class Operator:
    """Gives a HandToArm one message and asks for one target every 11 ms."""

    def __init__(self, settings: HandArmSettings = EXACT) -> None:
        self.arm = HandToArm(settings)
        self.now_ns = 0

    def show(self, points: np.ndarray, messages: int = 1, *, absolute: bool = True) -> Target | None:
        target = None
        for _ in range(messages):
            self.now_ns += STEP_NS
            self.arm.hand(Hand(points, absolute), self.now_ns)
            self.arm.gesture(Hand(points, absolute), self.now_ns)
            target = self.arm.step(MEASURED, self.now_ns)
        return target

    def pinch(self, finger: str, points: np.ndarray | None = None) -> Target | None:
        wrist = WRIST if points is None else points[0]
        self.show(hand(wrist))
        self.show(hand(wrist, pinch=finger), 10)
        return self.show(hand(wrist))


def engaged(settings: HandArmSettings = EXACT) -> Operator:
    operator = Operator(settings)
    operator.pinch("ring")
    assert operator.arm.engaged
    return operator


def test_a_tracked_hand_alone_moves_nothing() -> None:
    operator = Operator()
    assert operator.show(hand(WRIST), 20) is None
    assert not operator.arm.engaged


@pytest.mark.parametrize("finger", ["ring", "middle"])
def test_a_pinch_engages_at_the_measured_pose_and_another_pauses(finger: str) -> None:
    operator = Operator()
    target = operator.pinch(finger)
    assert target is not None
    np.testing.assert_allclose(target.pose.position, MEASURED.position)
    np.testing.assert_allclose(target.pose.quaternion, MEASURED.quaternion, atol=1e-9)
    assert operator.pinch(finger) is None
    assert operator.arm.reason == "paused by a pinch"


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ((0.0, 0.0, 0.05), (-0.05, 0.0, 0.0)),  # towards the robot, which faces the operator
        ((0.05, 0.0, 0.0), (0.0, 0.05, 0.0)),  # to the operator's right, the robot's left
        ((0.0, 0.05, 0.0), (0.0, 0.0, 0.05)),  # up
    ],
)
def test_the_tool_moves_as_the_hand(moved: tuple[float, ...], expected: tuple[float, ...]) -> None:
    target = engaged().show(hand(WRIST + np.array(moved)))
    assert target is not None
    np.testing.assert_allclose(target.pose.position - MEASURED.position, expected, atol=1e-9)


def test_at_its_home_pose_the_target_is_that_of_open_teach() -> None:
    # Its formula (operators/bimanual_right.py): inv(H_I) H_T, seen through two fixed axis maps.
    turn_map = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    move_map = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    begin, end = hand(WRIST), hand(WRIST + 0.04, Rotation.from_rotvec([0.2, -0.3, 0.1]))
    (wrist_i, axes_i), (wrist_t, axes_t) = hand_frame(begin), hand_frame(end)
    moved = np.linalg.inv(move_map) @ axes_i.T @ (wrist_t - wrist_i)
    turned = np.linalg.inv(turn_map) @ axes_i.T @ axes_t @ turn_map
    target = engaged().show(end)
    assert target is not None
    np.testing.assert_allclose(target.pose.position, MEASURED.position + moved, atol=1e-9)
    expected = Rotation.from_quat(MEASURED.quaternion).as_matrix() @ turned
    np.testing.assert_allclose(Rotation.from_quat(target.pose.quaternion).as_matrix(), expected, atol=1e-9)


def test_a_hand_that_turns_about_the_vertical_turns_the_tool_the_same_way() -> None:
    # Up is the palm's x in space; from above, both turn to the left.
    target = engaged().show(hand(WRIST, Rotation.from_rotvec([0.3, 0.0, 0.0])))
    assert target is not None
    turned = Rotation.from_quat(target.pose.quaternion) * Rotation.from_quat(MEASURED.quaternion).inv()
    np.testing.assert_allclose(turned.as_rotvec(), [0.0, 0.0, 0.3], atol=1e-9)


def test_low_resolution_moves_less_and_changing_it_jumps_nowhere() -> None:
    operator = engaged()
    before = operator.show(hand(WRIST + np.array([0.0, 0.05, 0.0])))
    operator.arm.resolution("Low")
    same = operator.show(hand(WRIST + np.array([0.0, 0.05, 0.0])))
    after = operator.show(hand(WRIST + np.array([0.0, 0.10, 0.0])))
    assert before is not None
    assert same is not None
    assert after is not None
    np.testing.assert_allclose(same.pose.position, before.pose.position)
    assert after.pose.position[2] - same.pose.position[2] == pytest.approx(0.6 * 0.05)


def test_the_filter_keeps_the_given_part_of_the_last_target() -> None:
    operator = engaged(HandArmSettings(keep=0.8))
    up = hand(WRIST + np.array([0.0, 0.05, 0.0]), Rotation.from_rotvec([0.1, 0.0, 0.0]))
    heights, turns = [], []
    for _ in range(3):
        target = operator.show(up)
        assert target is not None
        heights.append(target.pose.position[2] - MEASURED.position[2])
        start = Rotation.from_quat(MEASURED.quaternion)
        turns.append((Rotation.from_quat(target.pose.quaternion) * start.inv()).magnitude())
    parts = 1.0 - 0.8 ** np.arange(1, 4)
    np.testing.assert_allclose(heights, 0.05 * parts)
    np.testing.assert_allclose(turns, 0.1 * parts)


def test_engaging_again_forgets_where_the_hand_went_meanwhile() -> None:
    operator = engaged()
    operator.pinch("ring")
    elsewhere = WRIST.copy()
    for _ in range(10):
        elsewhere = elsewhere + np.array([0.03, 0.0, 0.0])
        assert operator.show(hand(elsewhere)) is None
    target = operator.pinch("middle", hand(elsewhere))
    assert target is not None
    np.testing.assert_allclose(target.pose.position, MEASURED.position)


def test_silence_pauses_until_the_next_pinch() -> None:
    operator = engaged()
    assert operator.arm.step(MEASURED, operator.now_ns + 200_000_000) is not None
    operator.now_ns += 201_000_000
    assert operator.arm.step(MEASURED, operator.now_ns) is None
    assert "no hand for 0.20 s" in operator.arm.reason
    assert operator.show(hand(WRIST), 5) is None
    assert operator.pinch("ring") is not None


def test_a_jump_of_the_hand_pauses() -> None:
    operator = engaged()
    assert operator.show(hand(WRIST + np.array([0.4, 0.0, 0.0]))) is None
    assert operator.arm.reason == "the hand jumped by 0.40 m"


def test_without_the_hands_place_there_is_no_target_and_with_it_a_fresh_start() -> None:
    operator = engaged()
    operator.show(hand(WRIST + 0.02))
    assert operator.show(hand(np.zeros(3)), absolute=False) is None
    assert operator.arm.engaged
    target = operator.show(hand(WRIST + 0.3))
    assert target is not None
    np.testing.assert_allclose(target.pose.position, MEASURED.position)


def test_a_pinch_of_the_other_hand_engages_only_a_tracked_hand() -> None:
    operator = Operator()
    for gap_m in [0.1, *[0.0] * 10]:
        operator.now_ns += STEP_NS
        operator.arm.gesture(Hand(hand(WRIST, pinch="ring", gap_m=gap_m), absolute=True), operator.now_ns)
    assert not operator.arm.engaged
    assert operator.arm.reason == "no hand is tracked"


def test_losing_the_other_hand_whose_pinch_would_pause_pauses() -> None:
    operator = engaged()
    last_ns = operator.now_ns
    while operator.now_ns < last_ns + 220_000_000:
        operator.now_ns += STEP_NS
        operator.arm.hand(Hand(hand(WRIST), absolute=True), operator.now_ns)
        target = operator.arm.step(MEASURED, operator.now_ns)
        assert (target is not None) == (operator.now_ns <= last_ns + 200_000_000)
    assert "no hand that could pause for 0.2" in operator.arm.reason
    assert operator.show(hand(WRIST), 5) is None
    assert operator.pinch("ring") is not None


def test_a_pinky_pinch_toggles_the_gripper_once_and_only_while_engaged() -> None:
    operator = Operator()
    operator.pinch("pinky")
    engaged_open = operator.pinch("ring")
    closed = operator.pinch("pinky")
    opened = operator.pinch("pinky")
    assert [t.gripper for t in (engaged_open, closed, opened) if t is not None] == [0.0, 1.0, 0.0]


def test_the_gripper_stays_as_it_was_told_after_a_pause() -> None:
    operator = engaged()
    operator.pinch("pinky")
    operator.pinch("ring")
    target = operator.pinch("ring")
    assert target is not None
    assert target.gripper == 1.0


def test_the_pause_stream_pauses_and_engages() -> None:
    operator = Operator()
    operator.show(hand(WRIST))
    operator.arm.pause_level("High")
    assert operator.show(hand(WRIST)) is None
    operator.arm.pause_level("Low")
    operator.arm.pause_level("High")
    assert operator.show(hand(WRIST)) is not None
    operator.arm.pause_level("Low")
    assert operator.show(hand(WRIST)) is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"move_map": (1.0,) * 9}, "move_map .* square"),
        ({"turn_map": (1.0, 0.0, 0.0)}, "turn_map .* square"),
        ({"turn_map": (1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)}, "mirrors"),
        ({"keep": 1.0}, "keep 1 is not between"),
        ({"stale_s": 0.0}, "must be above 0"),
    ],
)
def test_settings_that_can_not_be_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        HandArmSettings(**wrong)
