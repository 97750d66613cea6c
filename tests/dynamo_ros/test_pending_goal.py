from dynamo_ros.core.gripper import PendingGoal

PERIOD_NS = 20_000_000


def test_a_goal_is_offered_until_it_is_taken() -> None:
    pending = PendingGoal()
    assert pending.offer(0.85, 0) == 0.85
    assert pending.offer(None, PERIOD_NS) == 0.85
    pending.taken()
    assert pending.offer(None, 2 * PERIOD_NS) is None


def test_a_newer_goal_replaces_an_older_one() -> None:
    pending = PendingGoal()
    pending.offer(0.85, 0)
    assert pending.offer(0.0, PERIOD_NS) == 0.0


def test_a_goal_does_not_outlive_a_pause_or_a_clock_that_jumps_back() -> None:
    for later_ns in (2_000_000_000, -1):
        pending = PendingGoal()
        pending.offer(0.85, 0)
        assert pending.offer(None, later_ns) is None
