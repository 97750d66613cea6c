"""`dynamo latency` on bags with known delays."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from bag_factory import START_NS, Raw, episode_messages, header, serialize, write_bag
from dynamo_policies.bag_latency import AGE, bag_latency
from dynamo_policies.bags import read_info, typestore
from dynamo_policies.cli.latency import COMMAND
from dynamo_policies.cli.main import main
from dynamo_policies.contract import Contract
from dynamo_policies.plan_times import MESSAGE, PlanTimes, PlanTimesError, from_text, to_text
from dynamo_ros.core.bag_topics import Topic
from dynamo_ros.core.recording import EpisodeWriter

MS = 1_000_000
PLANS = [
    PlanTimes(tick, tick - 20 * MS, tick + 25 * MS, tick + age * MS, {"encode": 8.0, "publish": 0.25})
    for tick, age in ((START_NS + 100 * MS, 40), (START_NS + 200 * MS, 50), (START_NS + 300 * MS, 700))
]


def timing_message(plans: list[PlanTimes], stamp_ns: int) -> Raw:
    types = typestore().types
    pair = types["diagnostic_msgs/msg/KeyValue"]
    status = types["diagnostic_msgs/msg/DiagnosticStatus"]
    told = {"dynamo timing": [("engine", "openvino")], "plans": [to_text(plan) for plan in plans]}
    statuses = [
        status(level=0, name=name, message="", hardware_id="", values=[pair(*value) for value in values])
        for name, values in told.items()
    ]
    message = types[MESSAGE](header=header(stamp_ns), status=statuses)
    return Raw("/inference_node/timing", serialize(message), stamp_ns + MS)


@pytest.fixture
def timed_bag(contract: Contract, tmp_path: Path) -> Path:
    extra = Topic("/inference_node/timing", MESSAGE)
    writer = EpisodeWriter(tmp_path / "bag", contract, "put_yogurt", [extra])
    for raw in [*episode_messages(contract, 1.0), timing_message(PLANS, START_NS + 1000 * MS)]:
        assert writer.write(*raw)
    return writer.close("success").path


def test_a_plans_times_survive_as_text() -> None:
    assert [from_text(*to_text(plan)) for plan in PLANS] == PLANS


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3 encode", "1 2 3 encode=x"])
def test_a_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(PlanTimesError, match="does not say what a plan took"):
        from_text("5", text)


def test_stamps_alone_give_what_messages_took_and_how_old_images_were(
    contract: Contract, tmp_path: Path
) -> None:
    bag = write_bag(tmp_path / "bag", contract, episode_messages(contract, 1.0))
    found = bag_latency(read_info(bag))
    assert not found.timed
    assert found.series["capture to received: fixed"].figures() == pytest.approx(
        {"count": 30, "p50": 2, "p95": 2, "p99": 2, "max": 2}
    )
    assert found.series["command to command"].figures()["p50"] == pytest.approx(20.0)
    ages = found.series["newest image at command: wrist"].ms
    # An image of every 33.3 ms comes 2 ms after its stamp: its age is between 2 and 35.3 ms.
    assert 2.0 <= ages.min() < ages.max() <= 35.34
    assert "capture to received: target_pose" not in found.series


def test_what_the_node_told_gives_each_stage_and_the_budget(timed_bag: Path) -> None:
    found = bag_latency(read_info(timed_bag))
    assert found.timed
    assert found.engine == "openvino"
    assert found.series["plan: encode"].figures()["p50"] == 8.0
    np.testing.assert_allclose(found.series[AGE].ms, [60.0, 70.0, 720.0])
    np.testing.assert_allclose(found.series[AGE].seconds, [0.138, 0.248, 0.998], atol=2e-3)
    assert found.over_budget == 1


def test_the_command_prints_writes_and_draws(
    timed_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "picture.png"
    arguments = ["latency", str(timed_bag), "--json", str(figures), "--plot", str(picture)]
    assert main(arguments, [COMMAND]) == 0
    shown = capsys.readouterr().out
    for text in (
        "plan: encode",
        "8.00",
        "1 plans were commanded later than the budget of 300 ms",
        "openvino",
    ):
        assert text in shown
    assert json.loads(figures.read_text())["ways_ms"][AGE]["max"] == pytest.approx(720.0)
    assert cv2.imread(str(picture)) is not None
