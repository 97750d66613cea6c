"""The main job, small: the demo's stages on real parts, from no data to a report."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from dynamo_policies.bags import find_bags, read_info
from dynamo_policies.bundle import load_bundle


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_quick_demo_records_learns_evaluates_and_reports(tmp_path: Path, ros_domain: int) -> None:
    out = tmp_path / "demo"
    environment = {**os.environ, "ROS_DOMAIN_ID": str(ros_domain)}
    # Slower than by default: a recorder that is held up for a second misses nothing.
    command = ["dynamo", "demo", "--quick", "--no-open", "--rtf", "2", "--out", str(out)]
    subprocess.run(command, check=True, env=environment, timeout=2300)

    summary = json.loads((out / "summary.json").read_text())
    infos = [read_info(path) for path in find_bags(out / "bags")]
    assert summary["episodes"] == len(infos) == 6
    assert {(info.task, info.outcome) for info in infos} == {
        ("put_yogurt", "success"),
        ("fetch_yogurt", "success"),
    }
    assert summary["dropped_messages"] == 0
    assert summary["frames"] == sum(
        info.counts[c.topic] for info in infos for c in info.contract.cameras.values()
    )
    assert summary["pretraining"]["loss_last"] < summary["pretraining"]["loss_first"]
    assert summary["trials"] == 2
    assert 0.0 <= summary["interval"][0] <= summary["successes"] / 2 <= summary["interval"][1] <= 1.0
    assert load_bundle(out / "bundle").contract == infos[0].contract

    page = (out / "report.html").read_text()
    media = [line.split('src="')[1].split('"')[0] for line in page.splitlines() if 'src="' in line]
    assert sum(name.endswith(".mp4") for name in media) == 2
    assert all((out / name).stat().st_size > 1000 for name in media)
