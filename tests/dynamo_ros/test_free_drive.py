import pytest

from dynamo_ros.core.free_drive import FreeDrive, ModeCall

STEP_NS = 20_000_000


class Driver:
    """An arm's driver that records the calls and answers each with a code, at the next step."""

    def __init__(self, **codes: int) -> None:
        self.codes, self.calls, self.now_ns = codes, list[ModeCall](), 0

    def run(self, drive: FreeDrive, steps: int = 20) -> list[tuple[str, int, int | None]]:
        """Run for some steps and return the calls made meanwhile."""
        self.calls = []
        for _ in range(steps):
            self.now_ns += STEP_NS
            call = drive.due(self.now_ns)
            if call is not None:
                self.calls.append(call)
                code = self.codes.get(f"{call.service}_{call.data}", 0)
                drive.answered(call, code, "", self.now_ns)
        return [tuple(call) for call in self.calls]


ENTERING = [("motion_enable", 1, 8), ("set_mode", 2, None), ("set_state", 0, None)]
LEAVING = [("set_mode", 1, None), ("set_state", 0, None)]


def free(driver: Driver) -> FreeDrive:
    drive = FreeDrive()
    drive.begin()
    driver.run(drive)
    assert drive.state == "free"
    return drive


def test_nothing_is_called_before_the_begin() -> None:
    drive = FreeDrive()
    assert Driver().run(drive) == []
    assert drive.state == "off"


def test_the_way_in_and_the_way_out_are_the_vendors() -> None:
    driver, drive = Driver(), FreeDrive()
    assert drive.begin()
    assert driver.run(drive) == ENTERING
    assert drive.state == "free"
    drive.end("asked for")
    assert driver.run(drive) == LEAVING
    assert drive.state == "off"
    assert drive.reason == "asked for"


def test_the_mode_to_return_to_is_a_choice() -> None:
    driver, drive = Driver(), FreeDrive(return_mode=0)
    drive.begin()
    driver.run(drive)
    drive.end("")
    assert driver.run(drive)[0] == ("set_mode", 0, None)


def test_each_call_waits_for_the_answer_to_the_last() -> None:
    drive = FreeDrive()
    drive.begin()
    first = drive.due(0)
    assert first is not None
    assert drive.due(STEP_NS) is None
    drive.answered(first, 0, "", STEP_NS)
    assert drive.due(2 * STEP_NS) == ModeCall("set_mode", 2)


@pytest.mark.parametrize(("failing", "made"), [("motion_enable_1", 1), ("set_mode_2", 2)])
def test_a_refused_call_on_the_way_in_leads_out_again_and_is_reported(failing: str, made: int) -> None:
    driver, drive = Driver(**{failing: 1}), FreeDrive()
    drive.begin()
    assert driver.run(drive) == ENTERING[:made] + LEAVING
    assert drive.state == "failed"
    assert "returned 1 (an error is not cleared)" in drive.reason
    driver.codes = {}
    assert drive.begin()
    driver.run(drive)
    assert drive.state == "free"


def test_a_way_out_that_fails_too_names_both() -> None:
    driver, drive = Driver(set_mode_2=9, set_mode_1=-9), FreeDrive()
    drive.begin()
    driver.run(drive)
    assert drive.state == "failed"
    assert (
        "set_mode 2 returned 9 (not in a state for this); then set_mode 1 returned -9 (emerg" in drive.reason
    )


def test_a_driver_that_does_not_answer_fails_and_its_late_answer_changes_nothing() -> None:
    drive = FreeDrive()
    drive.begin()
    call = drive.due(0)
    assert call is not None
    assert drive.due(2_100_000_000) is None
    assert drive.state == "leaving"
    drive.answered(call, 0, "", 2_200_000_000)
    assert drive.due(2_300_000_000) == ModeCall("set_mode", 1)
    assert drive.due(5_000_000_000) is None
    assert drive.state == "failed"
    assert drive.reason == (
        "motion_enable did not answer within 2 s; then set_mode did not answer within 2 s"
    )


def test_an_end_on_the_way_in_turns_round() -> None:
    driver, drive = Driver(), FreeDrive()
    drive.begin()
    driver.run(drive, 2)
    drive.end("changed my mind")
    assert driver.run(drive) == LEAVING
    assert drive.state == "off"


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ({"mode": 0, "error": 31}, "error 31 (collision: abnormal current)"),
        ({"mode": 2, "error": 99}, "error 99 (see its manual)"),
        ({"mode": 1, "error": 0}, "in mode 1, no longer in 2"),
    ],
)
def test_an_error_or_another_mode_ends_it_and_nothing_is_cleared(report: dict, reason: str) -> None:
    driver = Driver()
    drive = free(driver)
    drive.observe(**report, now_ns=driver.now_ns + 1_000_000_000)
    assert drive.state == "failed"
    assert reason in drive.reason
    assert driver.run(drive) == []


def test_an_end_after_a_way_out_that_failed_tries_again() -> None:
    driver = Driver(set_mode_1=-1)
    drive = free(driver)
    drive.end("asked for")
    assert driver.run(drive) == LEAVING[:1]
    assert drive.state == "failed"
    driver.codes = {}
    drive.end("the node ends")
    assert driver.run(drive) == LEAVING
    assert (drive.state, drive.reason) == ("off", "the node ends")
    drive.end("again")
    assert driver.run(drive) == []


@pytest.mark.parametrize(("mode", "calls"), [(2, LEAVING), (0, [])])
def test_an_end_after_an_error_leads_out_unless_somebody_did(mode: int, calls: list) -> None:
    driver = Driver()
    drive = free(driver)
    drive.observe(mode=2, error=31, now_ns=driver.now_ns + 1_000_000_000)
    drive.observe(mode=mode, error=31, now_ns=driver.now_ns + 1_100_000_000)
    drive.end("asked for")
    assert driver.run(drive) == calls


def test_a_report_from_before_the_change_ends_nothing() -> None:
    driver = Driver()
    drive = free(driver)
    drive.observe(mode=1, error=0, now_ns=driver.now_ns)
    assert drive.state == "free"


def test_a_second_begin_is_refused() -> None:
    drive = free(Driver())
    assert not drive.begin()
    assert drive.state == "free"
