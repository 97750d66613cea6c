"""The command `dynamo` and `dynamo bags`."""

import argparse
import shutil
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bag_factory import START_NS, episode_messages, files_no_larger_than, write_bag
from dynamo_policies.cli.bags import COMMAND
from dynamo_policies.cli.command import Command
from dynamo_policies.cli.main import GROUP, load_or_explain, main
from dynamo_policies.contract import Contract
from dynamo_policies.errors import DynamoError
from dynamo_ros.core.recording import EpisodeWriter

FIXED = "/fixed/camera/color/image_raw"


def fail(_arguments: argparse.Namespace) -> int:
    raise DynamoError("the reason, in one line")


FAILING = Command("fail", "always fail", lambda _parser: None, fail)


def test_an_error_is_one_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fail"], [FAILING]) == 2
    assert capsys.readouterr().err == "dynamo: the reason, in one line\n"


@pytest.mark.parametrize("arguments", [["--debug", "fail"], ["fail", "--debug"]])
def test_debug_shows_where_an_error_comes_from(arguments: list[str]) -> None:
    with pytest.raises(DynamoError, match="the reason"):
        main(arguments, [FAILING])


def test_a_command_gets_its_arguments_and_gives_its_status() -> None:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("status", type=int)

    command = Command("exit", "exit", add_arguments, lambda arguments: int(arguments.status))
    assert main(["exit", "7"], [command]) == 7


def test_help_names_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"], [FAILING, COMMAND])
    shown = capsys.readouterr().out
    assert "look into bags" in shown
    assert "always fail" in shown


def test_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"], [])
    assert capsys.readouterr().out.startswith("dynamo ")


def test_a_command_that_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "extra-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: extra\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[dynamo.commands]\nbroken = nothing_here:COMMAND\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["broken"]) == 2
    assert "command 'broken' can't be loaded from nothing_here:COMMAND" in capsys.readouterr().err


def test_help_says_why_a_command_is_not_available(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [EntryPoint(f"c{i}", value, GROUP) for i, value in enumerate(("nothing_here:A", "sys:path"))]
    with pytest.raises(SystemExit, match="0"):
        main(["--help"], [load_or_explain(entry) for entry in entries])
    shown = capsys.readouterr().out
    assert "not available: No module named 'nothing_here'" in shown
    assert "sys:path is list, not a Command" in " ".join(shown.split())


def test_info_shows_each_bag_with_its_streams(episode_bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bags", "info", str(episode_bag.parent)], [COMMAND]) == 0
    shown = capsys.readouterr().out
    for text in ("episode_0", "put_yogurt", "success", "fixed", "60", "30.0", "1 bags, 2 s"):
        assert text in shown


def test_a_folder_without_bags_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bags", "info", str(tmp_path)], [COMMAND]) == 2
    assert "no metadata.yaml in it or below" in capsys.readouterr().err


def test_verify_finds_nothing_wrong_with_a_sound_bag(
    episode_bag: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bags", "verify", str(episode_bag)], [COMMAND]) == 0
    assert "1 of 1 bags are good" in capsys.readouterr().out


def test_verify_says_what_is_wrong(
    contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = [
        raw
        for raw in episode_messages(contract, 1.5)
        if raw.topic != FIXED or not 0.5 < (raw.receive_ns - START_NS) / 1e9 < 1.0
    ]
    first = next(raw for raw in messages if raw.topic == FIXED)
    write_bag(tmp_path / "bag", contract, [*messages, first])
    assert main(["bags", "verify", str(tmp_path)], [COMMAND]) == 1
    shown = capsys.readouterr().out
    assert "stream 'fixed' repeats 1 stamps" in shown
    assert "Hz; the contract says 30" in shown
    assert "stream 'fixed' pauses for 533 ms; at most 150 is allowed" in shown
    assert "ticks are valid" in shown
    assert "0 of 1 bags are good" in shown


def test_what_was_cut_off_is_no_bag_and_is_named(
    episode_bag: Path, contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(episode_bag, tmp_path / "whole")
    (tmp_path / "copied").mkdir()
    content = (episode_bag / "episode_0.mcap").read_bytes()
    (tmp_path / "copied" / "episode_0.mcap").write_bytes(content[: len(content) // 2])
    writer = EpisodeWriter(tmp_path / "recorded", contract, "put_yogurt")  # goes on, so nothing is wrong
    assert main(["bags", "verify", str(tmp_path)], [COMMAND]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "copied error: a recording or a copy that was cut off, no bag yet; `dynamo bags repair`" in shown
    assert "1 of 2 bags are good" in shown
    assert main(["bags", "info", str(tmp_path)], [COMMAND]) == 0
    assert f"{tmp_path / 'copied'}: a recording or a copy" in capsys.readouterr().out
    writer.discard()


def test_verify_holds_bags_against_a_contract(
    episode_bag: Path, contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(replace(contract, settle_ms=10.0).to_yaml())
    assert main(["bags", "verify", "--contract", str(file), str(episode_bag)], [COMMAND]) == 1
    assert "settle_ms: 25.0 instead of 10.0" in capsys.readouterr().out


def test_repair_completes_what_a_full_disk_cut_off(
    contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = EpisodeWriter(tmp_path / "episode", contract, "put_yogurt")
    for raw in episode_messages(contract, 0.5):
        writer.write(*raw)
    with files_no_larger_than(64):
        assert "File too large" in writer.close("success").error
    assert main(["bags", "repair", str(tmp_path)], [COMMAND]) == 0
    assert "1 of 1 damaged bags repaired" in capsys.readouterr().out
    assert main(["bags", "info", str(tmp_path)], [COMMAND]) == 0
