import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynamo_policies.report.evaluation import ReportError, report_evaluation
from dynamo_policies.report.page import Media, Page, Section, Table, Tile, write_page
from dynamo_policies.report.plots import contact_sheet
from dynamo_policies.video import VideoWriter, frames_of_bag, side_by_side, video_of_bag


def write_evaluation(folder: Path, *, bag: str | None = None) -> None:
    rate = {"trials": 1, "successes": 1, "rate": 1.0, "low": 0.2, "high": 1.0}
    trial: dict[str, Any] = {
        "number": 0,
        "task": "put_yogurt",
        "seed": 7,
        "success": True,
        "reason": "placed",
    }
    trial |= {"seconds": 12.3, "bag": bag, "dropped": 0, "video": None, "skipped": 0, "stale": 0}
    (folder / "summary.json").write_text(json.dumps({**rate, "tasks": {"put_yogurt": rate}}))
    (folder / "trials.json").write_text(json.dumps([trial]))


def test_an_evaluation_is_reported_with_a_video_made_from_its_bag(tmp_path: Path, episode_bag: Path) -> None:
    write_evaluation(tmp_path, bag=str(episode_bag))
    page = report_evaluation(tmp_path)
    assert page == tmp_path / "report.html"
    assert "put_yogurt, seed 7: success, 12.3 s" in page.read_text()
    assert (tmp_path / "videos" / "trial_000.mp4").stat().st_size > 1000


def test_an_unfinished_evaluation_is_refused_and_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "trials.json").write_text("[]")
    with pytest.raises(ReportError, match=r"no summary.json in .*there is: \['trials.json'\]"):
        report_evaluation(tmp_path)


def test_a_page_escapes_what_it_is_given(tmp_path: Path) -> None:
    table = Table(("<b>",), (("<script>",),))
    page = Page("a < b", "", (Tile("1", "<i>"),), (Section("s", table=table, wide=(Media("x.png", "<u>"),)),))
    write_page(page, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "<script>" not in text
    assert "a &lt; b" in text


def test_a_video_of_a_bag_has_every_tenth_of_a_second_of_all_cameras(
    tmp_path: Path, episode_bag: Path
) -> None:
    frames = list(frames_of_bag(episode_bag, fps=10.0))
    assert set(frames[0]) == {"fixed", "wrist"}
    assert abs(len(frames) - 20) <= 1  # the episode lasts 2 s
    assert video_of_bag(episode_bag, tmp_path / "v.mp4", fps=10.0) == len(frames)


def test_a_written_video_plays_back_the_colours_it_was_given(tmp_path: Path) -> None:
    import av

    red = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    with VideoWriter(tmp_path / "red.mp4", fps=10.0) as writer:
        for _ in range(5):
            writer.add(red)
    with av.open(str(tmp_path / "red.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5
    np.testing.assert_allclose(frames[2].mean((0, 1)), (200, 30, 30), atol=8)


def test_a_video_without_frames_leaves_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "none.mp4", fps=10.0):
        pass
    assert not (tmp_path / "none.mp4").exists()


def test_images_stand_side_by_side_at_one_height() -> None:
    images = {"a": np.zeros((48, 64, 3), np.uint8), "b": np.zeros((96, 96, 3), np.uint8)}
    assert side_by_side(images, height=120).shape == (120, 160 + 120, 3)


def test_a_contact_sheet_holds_every_image(tmp_path: Path) -> None:
    import cv2

    images = [np.full((20, 20, 3), value, np.uint8) for value in (10, 60, 120)]
    contact_sheet(images, tmp_path / "sheet.png", columns=2, size=8)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (16, 16, 3)
    assert [int(sheet[y, x, 0]) for y, x in ((4, 4), (4, 12), (12, 4))] == [10, 60, 120]
