"""Reading episode bags."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bag_factory import START_NS, episode_messages, write_bag
from dynamo_policies.bags import (
    BagError,
    MissingTopicError,
    bag_hash,
    find_bags,
    raw_messages,
    read_info,
    samples,
)
from dynamo_policies.contract import Contract, ContractMismatchError
from dynamo_policies.decode import Decoder, FrameSettings


def edit_metadata(bag: Path, change: str | None, key: str) -> None:
    """Replace the entry `key` of the bag's custom data by `change`, or remove it."""
    file = bag / "metadata.yaml"
    whole = yaml.safe_load(file.read_text())
    custom = whole["rosbag2_bagfile_information"]["custom_data"]
    custom.pop(key)
    if change is not None:
        custom[key] = change
    file.write_text(yaml.safe_dump(whole))


@pytest.fixture
def copied_bag(episode_bag: Path, tmp_path: Path) -> Path:
    """A bag to damage."""
    return Path(shutil.copytree(episode_bag, tmp_path / "bag"))


def test_info_says_what_is_in_the_bag(episode_bag: Path, contract: Contract) -> None:
    info = read_info(episode_bag)
    assert (info.task, info.outcome, info.operator, info.note) == (
        "put_yogurt",
        "success",
        "tester",
        "synthetic",
    )
    assert info.contract == contract
    assert info.counts["/fixed/camera/color/image_raw"] == 60
    assert info.counts["/xarm/joint_states"] == 200 + 4
    assert info.messages == sum(info.counts.values())
    assert info.start_ns == START_NS + 2_000_000
    assert info.seconds == pytest.approx(1.99)
    assert info.bytes > 60 * 2 * 128 * 128 * 3


def test_samples_come_in_log_time_order_and_cover_all_streams(episode_bag: Path, contract: Contract) -> None:
    found = list(samples(episode_bag, Decoder(contract, FrameSettings(32))))
    assert [sample.stamp_ns for sample in found] == sorted(sample.stamp_ns for sample in found)
    counts = {name: sum(sample.stream == name for sample in found) for name in contract.streams}
    assert counts == {name: round(2.0 * stream.rate_hz) for name, stream in contract.streams.items()}


def test_a_bag_of_another_contract_is_refused_with_the_difference(
    episode_bag: Path, contract: Contract
) -> None:
    other = replace(contract, tool_offset_m=0.2)
    with pytest.raises(ContractMismatchError, match=r"tool_offset_m: 0\.172 instead of 0\.2"):
        next(samples(episode_bag, Decoder(other, FrameSettings())))


def test_a_folder_without_metadata_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"no metadata\.yaml"):
        read_info(tmp_path)


def test_a_bag_without_contract_is_an_error_that_lists_what_it_has(copied_bag: Path) -> None:
    edit_metadata(copied_bag, None, "contract")
    with pytest.raises(BagError, match=r"no contract in its custom_data, which has .*'task'"):
        read_info(copied_bag)


def test_damaged_metadata_is_an_error(copied_bag: Path) -> None:
    edit_metadata(copied_bag, "{", "dropped")
    with pytest.raises(BagError, match=r"metadata\.yaml is damaged"):
        read_info(copied_bag)
    (copied_bag / "metadata.yaml").write_text("a: [")
    with pytest.raises(BagError, match="no rosbag2 metadata"):
        read_info(copied_bag)
    (copied_bag / "metadata.yaml").write_text("a: 1")
    with pytest.raises(BagError, match="no rosbag2 metadata"):
        read_info(copied_bag)


def test_a_truncated_file_is_an_error(copied_bag: Path) -> None:
    file = copied_bag / "episode_0.mcap"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(BagError, match=r"episode_0\.mcap is truncated"):
        read_info(copied_bag)


def test_a_file_damaged_inside_is_an_error_when_read(copied_bag: Path) -> None:
    file = copied_bag / "episode_0.mcap"
    content = bytearray(file.read_bytes())
    content[len(content) - 400 : len(content) - 60] = b"\xff" * 340
    file.write_bytes(content)
    info = read_info(copied_bag)
    with pytest.raises(BagError, match="its messages can't be read"):
        list(raw_messages(info, info.counts))


def test_a_missing_file_is_an_error(copied_bag: Path) -> None:
    (copied_bag / "episode_0.mcap").unlink()
    with pytest.raises(BagError, match=r"episode_0\.mcap is missing"):
        read_info(copied_bag)


def test_a_missing_topic_is_an_error_that_lists_what_there_is(episode_bag: Path) -> None:
    with pytest.raises(
        MissingTopicError, match=r"'/nothing' is not in it; it has \['/dynamo/target_gripper'"
    ):
        next(raw_messages(read_info(episode_bag), ["/nothing"]))


def test_find_bags_goes_below_and_leaves_hidden_folders_out(episode_bag: Path, tmp_path: Path) -> None:
    for name in ("b/one", "a", ".c.part/c"):
        shutil.copytree(episode_bag, tmp_path / name)
    assert find_bags(tmp_path) == [tmp_path / "a", tmp_path / "b" / "one"]
    assert find_bags(tmp_path / "a") == [tmp_path / "a"]


def test_find_bags_of_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"no metadata\.yaml in it or below"):
        find_bags(tmp_path)
    with pytest.raises(BagError, match="no such folder"):
        find_bags(tmp_path / "other")


def test_the_hash_follows_messages_and_metadata(copied_bag: Path, episode_bag: Path) -> None:
    assert bag_hash(copied_bag) == bag_hash(episode_bag)
    edit_metadata(copied_bag, "failure", "outcome")
    assert bag_hash(copied_bag) != bag_hash(episode_bag)


def test_an_empty_bag_can_be_read(contract: Contract, tmp_path: Path) -> None:
    path = write_bag(tmp_path / "empty", contract, [])
    assert read_info(path).messages == 0
    assert list(samples(path, Decoder(contract, FrameSettings()))) == []


def test_a_bag_recorded_out_of_order_is_read_in_order(contract: Contract, tmp_path: Path) -> None:
    path = write_bag(tmp_path / "bag", contract, episode_messages(contract, 0.3)[::-1])
    stamps = [raw.receive_ns for raw in raw_messages(read_info(path), ["/xarm/joint_states"])]
    assert stamps == sorted(stamps)
