import pytest

from dynamo_sim.session import Attempt, SessionError, SessionPlan


def run(plan: SessionPlan, failing: set[Attempt]) -> list[Attempt]:
    made = []
    for attempt in plan.attempts():
        made.append(attempt)
        plan.note(attempt, success=attempt not in failing)
    return made


def test_tasks_take_turns_and_each_start_is_another_one() -> None:
    plan = SessionPlan(["put", "fetch"], episodes=2, seed=7)
    assert run(plan, set()) == [
        Attempt("put", 7),
        Attempt("fetch", 7),
        Attempt("put", 8),
        Attempt("fetch", 8),
    ]
    assert plan.reached == plan.wanted == 4


def test_a_failure_is_followed_by_an_attempt_from_a_further_start() -> None:
    made = run(SessionPlan(["put"], episodes=2, seed=0), {Attempt("put", 1)})
    assert made == [Attempt("put", 0), Attempt("put", 1), Attempt("put", 2)]


def test_a_demonstrator_that_always_fails_is_stopped() -> None:
    plan = SessionPlan(["put"], episodes=1, seed=0)
    with pytest.raises(SessionError, match="only 0 of 5 attempts at put succeeded"):
        run(plan, {Attempt("put", seed) for seed in range(100)})


def test_a_session_without_tasks_is_refused() -> None:
    with pytest.raises(SessionError, match="nothing to do"):
        SessionPlan([], episodes=1, seed=0)
