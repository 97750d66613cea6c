from dynamo_sim.pacing import Pacer

STEP_NS = 10_000_000
MS = 1_000_000


def run(pacer: Pacer, wall_ms: int, *, sim_ns: int = 0, start_ms: int = 0) -> int:
    """Offer the pacer a step every real 0.1 ms; return the simulated time reached."""
    for tenth in range(start_ms * 10, (start_ms + wall_ms) * 10):
        if pacer.may_advance(sim_ns + STEP_NS, tenth * MS // 10):
            sim_ns += STEP_NS
    return sim_ns


def test_a_factor_of_one_is_real_time() -> None:
    assert abs(run(Pacer(real_time_factor=1.0), 1000) - 1000 * MS) <= 2 * STEP_NS


def test_a_factor_of_four_is_four_times_as_fast() -> None:
    assert abs(run(Pacer(real_time_factor=4.0), 1000) - 4000 * MS) <= 2 * STEP_NS


def test_a_factor_of_zero_never_waits() -> None:
    assert run(Pacer(real_time_factor=0.0), 10) == 100 * STEP_NS


def test_time_lost_is_not_made_up_for() -> None:
    pacer = Pacer(real_time_factor=1.0)
    reached = run(pacer, 100)
    after = run(pacer, 100, sim_ns=reached, start_ms=5000)
    assert after - reached <= 100 * MS + 2 * STEP_NS


def test_a_station_waits_for_a_late_commander() -> None:
    pacer = Pacer(real_time_factor=0.0, max_command_age_ns=20 * MS)
    pacer.heard("teleop", 80 * MS, 0)
    pacer.heard("teleop", 100 * MS, 0)
    # The next command is due at 120 ms and may be 20 ms late.
    assert run(pacer, 10, sim_ns=100 * MS) == 140 * MS
    pacer.heard("teleop", 120 * MS, 10 * MS)
    assert run(pacer, 10, sim_ns=140 * MS, start_ms=10) == 160 * MS


def test_a_commander_that_fell_silent_is_not_waited_for() -> None:
    pacer = Pacer(real_time_factor=0.0, max_command_age_ns=20 * MS)
    pacer.heard("teleop", 100 * MS, 0)
    assert run(pacer, 10, sim_ns=100 * MS, start_ms=300) == 100 * MS + 100 * STEP_NS


def test_without_a_limit_late_commands_are_late() -> None:
    pacer = Pacer(real_time_factor=0.0)
    pacer.heard("teleop", 0, 0)
    assert run(pacer, 10) == 100 * STEP_NS


def test_after_a_reset_nobody_is_waited_for() -> None:
    pacer = Pacer(real_time_factor=0.0, max_command_age_ns=20 * MS)
    pacer.heard("teleop", 0, 0)
    pacer.forget_commanders()
    assert run(pacer, 10) == 100 * STEP_NS
