from pathlib import Path

from dynamo_setup.stamps import Stamps, key_of


def test_a_finished_stage_is_done_for_its_key_alone(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "stamps")
    assert not stamps.done("packages", "a")
    stamps.finish("packages", "a")
    assert stamps.done("packages", "a")
    assert not stamps.done("packages", "b")
    assert not stamps.done("torch", "a")


def test_an_interrupted_stage_is_not_done(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path)
    stamps.finish("packages", "a")
    stamps.begin("packages")
    assert not stamps.done("packages", "a")


def test_a_key_changes_with_facts_names_and_contents(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("x")
    keys = {
        key_of([], [one]),
        key_of([], [two]),
        key_of([], [one, two]),
        key_of(["a"], [one]),
        key_of(["a", "b"]),
    }
    one.write_text("y")
    assert len(keys | {key_of([], [one]), key_of(["ab"])}) == 7


def test_a_key_does_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("y")
    assert key_of([], [one, two]) == key_of([], [two, one])
