from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bag_factory import files_no_larger_than
from dynamo_policies.tensorfiles import (
    TensorFileError,
    file_hash,
    fill,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)


def test_tensors_of_any_memory_order_come_back(tmp_path: Path) -> None:
    images = torch.arange(48.0).view(1, 3, 4, 4)
    given = {
        "usual": images,
        "channels_last": images.contiguous(memory_format=torch.channels_last),
        "view": images[0, 1],
        "count": torch.tensor(3),
    }
    write_tensors(tmp_path / "a.safetensors", given, {"step": "7"})
    found, metadata = read_tensors(tmp_path / "a.safetensors")
    assert metadata == {"step": "7"}
    assert set(found) == set(given)
    assert all(torch.equal(found[name], tensor) for name, tensor in given.items())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.zeros(4)})
    before = file_hash(path)
    with files_no_larger_than(1000), pytest.raises(TensorFileError, match=r"can't write .*a\.safetensors"):
        write_tensors(path, {"x": torch.ones(4000)})
    assert file_hash(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(TensorFileError, match=r"a\.safetensors is not a readable safetensors file"):
        read_tensors(path)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(TensorFileError, match="is not a readable safetensors file"):
        read_tensors(tmp_path / "a.safetensors")


def test_a_tensor_of_another_shape_is_refused() -> None:
    with pytest.raises(TensorFileError, match=r"here: weight has shape \(2, 2\) where \(2, 3\) is needed"):
        fill(nn.Linear(3, 2), {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, where="here")


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"a": [1, 2]}
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(TensorFileError, match="holds list, not a JSON object"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(TensorFileError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")
