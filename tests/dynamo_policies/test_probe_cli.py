"""`dynamo probe` on real bags, from recording to page and exit status."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bag_factory import (
    START_NS,
    Raw,
    episode_messages,
    header,
    pose_message,
    serialize,
    write_episode_bag,
)
from dynamo_policies.bags import BagError, find_bags, read_info, typestore
from dynamo_policies.cache import FrameCache
from dynamo_policies.cli import probe
from dynamo_policies.cli.main import FAILED, main
from dynamo_policies.contract import Contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import EncoderConfig, EncoderRecord, random_encoder, save_encoder
from dynamo_policies.episodes import Episode
from dynamo_policies.probes.embeddings import EmbeddingCache, _key
from dynamo_policies.probes.objects import TOPIC, TYPE, read_objects
from dynamo_ros.core.bag_topics import Topic
from dynamo_ros.core.recording import EpisodeWriter

SMALL = EncoderConfig(image_size=32, channels=4, seed=1)
QUICK = ("--policy-seeds", "1", "--policy-steps", "3", "--device", "cpu")


@pytest.fixture(scope="module")
def bags(contract: Contract, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demonstrations")
    for number in range(6):
        task = ("put_yogurt", "fetch_yogurt")[number % 2]
        write_episode_bag(folder / f"episode_{number}", contract, seconds=1.6, task=task)
    write_episode_bag(folder / "failed", contract, seconds=0.6, outcome="failure")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def encoder(bags: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small encoder that says it was pretrained on all bags."""
    folder = tmp_path_factory.mktemp("encoders") / "small"
    hashes = tuple(
        episode.bag_hash for episode in FrameCache(folder / "x").episodes(find_bags(bags), SMALL.frames)
    )
    save_encoder(
        folder,
        random_encoder(SMALL).encoder,
        EncoderRecord(config=SMALL, objective="byol", bag_hashes=hashes),
    )
    return folder


def run(cache: Path, *arguments: str | Path) -> int:
    given = ("probe", "--cache", cache, *QUICK, *arguments)
    return main([str(argument) for argument in given], [probe.COMMAND])


class Page(HTMLParser):
    """What a page shows, and what it needs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def card(bags: Path, cache: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("card")
    assert run(cache, "--bags", bags, "--encoder", encoder, "--out", out, "--json", out / "copy.json") == 0
    return out


def test_a_card_sets_each_encoder_beside_the_references(card: Path, encoder: Path) -> None:
    values = json.loads((card / "probe.json").read_text())
    assert [(one["name"], one["reference"]) for one in values["encoders"]] == [
        ("small", False),
        ("random", True),
        ("blind", True),
    ]
    assert json.loads((card / "copy.json").read_text()) == values
    assert {part: len(names) for part, names in values["episodes"].items()} == {
        "training": 2,
        "validation": 2,
        "held_out": 2,
    }
    assert values["encoders"][0]["seen"] == 2
    assert values["encoders"][1]["seen"] == 0
    small, random = (one["figures"]["chunk_error"]["value"] for one in values["encoders"][:2])
    assert values["encoders"][0]["less_random"]["chunk_error"]["value"] == pytest.approx(small - random)
    assert values["encoders"][1]["less_random"] == {}
    first = values["encoders"][0]["figures"]["state_rmse/arm"]
    assert first["low"] <= first["value"] <= first["high"]
    # The arm moves as the pictures' red channel counts: an encoder that sees can tell, a blind one can't.
    assert first["value"] < values["encoders"][2]["figures"]["state_rmse/arm"]["value"]


def test_random_sees_images_of_the_size_that_the_encoder_sees(encoder: Path) -> None:
    def sizes(asked: list[str], references: list[str]) -> dict[str, int]:
        found = probe._candidates(asked, references)
        return {one.name: one.loaded.record.config.image_size for one in found}

    assert sizes([str(encoder)], []) == {"small": 32, "random": 32}
    assert sizes(["random:4", "random:5@48", str(encoder)], ["random"]) == {
        "random:4": 32,
        "random:5@48": 48,
        "small": 32,
        "random": 32,
    }
    assert sizes(["random"], []) == {"random": 96}


def test_the_page_needs_no_other_file_and_shows_every_figure(card: Path) -> None:
    page = Page((card / "report.html").read_text())
    assert len(page.sources) >= 5
    assert all(source.startswith("data:image/") for source in page.sources)
    values = json.loads((card / "probe.json").read_text())
    for name in (*values["figures"], "small", "random", "blind"):
        assert name in page.text


def test_gates_decide_the_exit_status(
    bags: Path, cache: Path, encoder: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--bags", bags, "--encoder", encoder)
    loose = ("--gate", "chunk_error=9", "--gate", "effective_rank=1")
    assert run(cache, *given, *loose, "--unproven") == 0
    said = capsys.readouterr().out
    assert "note: effective_rank has not been shown to predict success" in said
    assert "note: chunk_error" not in said
    assert run(cache, *given, "--gate", "chunk_error=0.001") == probe.NOT_MET
    said = capsys.readouterr().out
    assert "gate not met: small: chunk_error is " in said
    assert "must be <= 0.001" in said
    assert "gate not met: random" not in said
    assert (
        run(cache, "--bags", bags, "--encoder", "random", "--reference", encoder, "--gate", "chunk_error=0")
        == 1
    )
    said = capsys.readouterr().out
    assert "gate not met: random" in said
    assert "gate not met: small" not in said
    assert run(cache, *given, *loose) == FAILED
    said = capsys.readouterr().err
    assert "effective_rank not shown to predict success; shown was chunk_error" in said
    assert "--unproven" in said
    assert run(cache, *given, "--gate", "chunk=1", "--unproven") == FAILED
    assert "figure 'chunk' is unknown; did you mean" in capsys.readouterr().err


def test_bags_to_measure_on_can_be_given(
    bags: Path, cache: Path, encoder: Path, contract: Contract, tmp_path: Path
) -> None:
    for number in range(2):
        write_episode_bag(tmp_path / "new" / f"new_{number}", contract, seconds=1.2)
    given = (
        "--bags",
        bags,
        "--held-out",
        tmp_path / "new",
        "--episodes",
        "4",
        "--encoder",
        encoder,
        "random",
    )
    assert run(cache, *given, "--json", tmp_path / "card.json") == 0
    values = json.loads((tmp_path / "card.json").read_text())
    assert values["episodes"]["held_out"] == ["new_0", "new_1"]
    assert sum(map(len, values["episodes"].values())) == 6
    assert [one["reference"] for one in values["encoders"]] == [False, False, True]
    assert values["encoders"][0]["seen"] == 0


def test_too_few_episodes_are_an_error(
    cache: Path, contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episode_bag(tmp_path / "one", contract, seconds=0.5)
    assert run(cache, "--bags", tmp_path, "--encoder", "random") == FAILED
    assert "are too few" in capsys.readouterr().err


# Features and objects


def test_features_are_embedded_once_and_again_where_damaged(bags: Path, cache: Path, tmp_path: Path) -> None:
    episodes = FrameCache(cache).episodes(find_bags(bags)[:2], SMALL.frames)
    embedder = Embedder(random_encoder(SMALL).encoder, ("fixed", "wrist"))
    kept = EmbeddingCache(tmp_path)
    first = kept.features(embedder, episodes)
    files = sorted(tmp_path.iterdir())
    stamps = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 2
    files[0].write_bytes(b"\x93NUMPY nonsense")
    second = kept.features(embedder, episodes)
    assert [file.stat().st_mtime_ns == stamp for file, stamp in zip(files, stamps, strict=True)] == [
        False,
        True,
    ]
    for one, other, episode in zip(first, second, episodes, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, embedder.embed_episode(episode))
    other = Embedder(
        random_encoder(EncoderConfig(image_size=32, channels=4, seed=2)).encoder, ("fixed", "wrist")
    )
    kept.features(other, episodes)
    kept.features(Embedder(random_encoder(SMALL).encoder, ("wrist", "fixed")), episodes)
    assert len(list(tmp_path.iterdir())) == 6


def test_features_of_another_device_are_kept_apart(bags: Path, cache: Path) -> None:
    episode = FrameCache(cache).episode(find_bags(bags)[0], SMALL.frames)
    embedder = Embedder(random_encoder(SMALL).encoder, ("fixed", "wrist"))
    on_cpu = _key(embedder, episode, "weights")
    embedder.device = torch.device("cuda", 1)
    assert _key(embedder, episode, "weights") != on_cpu


def objects_message(positions: list[tuple[float, float, float]], stamp_ns: int) -> Any:
    poses = [pose_message([*position, 0.0, 0.0, 0.0, 1.0]).pose for position in positions]
    kind = typestore().types["geometry_msgs/msg/PoseArray"]
    return kind(header=header(stamp_ns, "link_base"), poses=poses)


def bag_with_objects(contract: Contract, path: Path, counts: list[int]) -> Path:
    messages = episode_messages(contract, 1.0)
    for index, count in enumerate(counts):
        stamp_ns = START_NS + index * 100_000_000
        message = objects_message([(index / 10.0, float(number), 0.0) for number in range(count)], stamp_ns)
        messages.append(Raw(TOPIC, serialize(message), stamp_ns + 1_000_000))
    writer = EpisodeWriter(path, contract, "put_yogurt", [Topic(TOPIC, TYPE)])
    for raw in sorted(messages, key=lambda raw: raw.receive_ns):
        assert writer.write(*raw)
    return writer.close("success").path


def loaded(path: Path, cache: Path) -> Episode:
    return FrameCache(cache).episode(path, FrameSettings(32))


def test_objects_are_those_known_last_at_each_tick(contract: Contract, cache: Path, tmp_path: Path) -> None:
    path = bag_with_objects(contract, tmp_path / "bag", [3] * 10)
    episode = loaded(path, cache)
    found = read_objects([read_info(path)], [episode])
    assert found is not None
    assert found[0].shape == (len(episode), 3, 3)
    expected = (episode.tick_ns - START_NS) // 100_000_000
    np.testing.assert_allclose(found[0][:, 0, 0], expected / 10.0)
    np.testing.assert_allclose(found[0][:, 2, 1], 2.0)


def test_bags_without_objects_have_none(bags: Path, cache: Path, contract: Contract, tmp_path: Path) -> None:
    with_objects = bag_with_objects(contract, tmp_path / "bag", [1] * 10)
    paths = [with_objects, find_bags(bags)[0]]
    assert read_objects([read_info(path) for path in paths], [loaded(path, cache) for path in paths]) is None


def test_objects_that_come_and_go_are_refused(contract: Contract, cache: Path, tmp_path: Path) -> None:
    path = bag_with_objects(contract, tmp_path / "bag", [1, 2])
    with pytest.raises(BagError, match="the number of objects on /station/objects changes"):
        read_objects([read_info(path)], [loaded(path, cache)])
