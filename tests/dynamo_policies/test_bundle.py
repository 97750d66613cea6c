from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_policies.actions import ActionSpace
from dynamo_policies.bundle import BundleError, load_bundle, save_bundle
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.embed import Embedder
from dynamo_policies.encoders import EncoderConfig, LoadedEncoder, random_encoder
from dynamo_policies.errors import ConfigError, DynamoError, UnknownNameError
from dynamo_policies.novelty import Demonstrated, calibrate
from dynamo_policies.policies import Demonstration, Policy, fit_policy
from dynamo_policies.policies.knn import KnnConfig
from dynamo_policies.policies.mlp import MlpConfig

ROBOT = Path(__file__).parents[2] / "config" / "robots" / "xarm_kitchen.yaml"
CONTRACT = load_contract(ROBOT)
ENCODER = random_encoder(EncoderConfig(image_size=32, channels=8, seed=4))
SPACE = ActionSpace(reference_rotation=CONTRACT.reference_rotation, relative=True)


def policy(name: str = "mlp", tasks: tuple[str, ...] = tuple(CONTRACT.tasks), features: int = 128) -> Policy:
    random = np.random.default_rng(0)
    demonstration = Demonstration(
        features=random.normal(size=(12, features)).astype(np.float32),
        state=random.normal(size=(12, 8)).astype(np.float32),
        valid=np.ones(12, bool),
        chunks=random.normal(size=(12, 10, 7)).astype(np.float32),
        mask=np.ones((12, 10), bool),
        task=tasks[0],
    )
    config = KnnConfig() if name == "knn" else MlpConfig(width=16, steps=3)
    return fit_policy(name, config, [demonstration], tasks, SPACE).policy


def save(
    folder: Path, *, fitted: Policy, encoder: LoadedEncoder = ENCODER, contract: Contract = CONTRACT
) -> str:
    return save_bundle(
        folder,
        contract=contract,
        encoder=encoder,
        policy=fitted,
        bag_hashes=("ab" * 32,),
        metrics={"loss": 0.25},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, fitted=policy())
    return tmp_path


def test_a_bundle_knows_what_was_demonstrated(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(6, 128)).astype(np.float32)
    images = dict.fromkeys(CONTRACT.cameras, np.zeros((6, 32, 32, 3), np.uint8))
    novelty = calibrate([Demonstrated(features, images, np.arange(6))] * 2, len(images))
    fitted = policy()
    save_bundle(tmp_path, contract=CONTRACT, encoder=ENCODER, policy=fitted, novelty=novelty)
    loaded = load_bundle(tmp_path).novelty
    assert loaded is not None
    assert loaded.nearest(features[2]).place in (2, 8)
    damage(tmp_path / "novelty.safetensors")
    with pytest.raises(BundleError, match=r"novelty\.safetensors was changed"):
        load_bundle(tmp_path)


def test_a_bundle_from_before_demonstrations_were_kept_is_read(folder: Path) -> None:
    assert load_bundle(folder).novelty is None


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("name", ["mlp", "knn"])
def test_a_bundle_acts_as_what_went_into_it(tmp_path: Path, name: str) -> None:
    fitted = policy(name)
    digest = save(tmp_path, fitted=fitted)
    bundle = load_bundle(tmp_path)
    assert bundle.digest == digest
    assert bundle.contract == CONTRACT
    assert bundle.frames == ENCODER.record.config.frames
    assert bundle.tasks == tuple(CONTRACT.tasks)
    assert bundle.actions == SPACE
    assert bundle.manifest.metrics == {"loss": 0.25}
    assert bundle.manifest.bag_hashes == ("ab" * 32,)
    images = {
        n: np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8) for n in ("fixed", "wrist")
    }
    features = bundle.embedder.embed(images)
    assert np.array_equal(features, Embedder(ENCODER.encoder, ("fixed", "wrist")).embed(images))
    state = np.zeros((1, 8), np.float32)
    given = bundle.policy.act(features[None], state, "put_yogurt")
    assert np.array_equal(given, fitted.act(features[None], state, "put_yogurt"))


@pytest.mark.parametrize("name", ["encoder.safetensors", "policy.safetensors"])
def test_one_flipped_byte_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-5] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} was changed: sha256 .*, the manifest expects"):
        load_bundle(folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    save(folder, fitted=policy())
    return folder


@pytest.fixture(scope="module")
def manifest(shared: Path) -> bytes:
    return (shared / "manifest.json").read_bytes()


@given(place=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_of_the_manifest_is_found(
    shared: Path, manifest: bytes, place: float, bit: int
) -> None:
    content, folder = bytearray(manifest), shared
    content[int(place * len(content))] ^= 1 << bit
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(DynamoError, match=r"manifest\.json"):
        load_bundle(folder)


def test_a_manifest_from_before_checksums_is_read(folder: Path) -> None:
    edit(folder)
    assert load_bundle(folder).manifest.checksum is None


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "policy.safetensors").unlink()
    with pytest.raises(BundleError, match=r"lacks policy\.safetensors"):
        load_bundle(folder)


def test_an_edited_contract_is_found(folder: Path) -> None:
    edit(folder, contract=CONTRACT.to_yaml().replace("speed_m_s: 0.5", "speed_m_s: 5.0"))
    with pytest.raises(BundleError, match="it was edited, or version 0"):
        load_bundle(folder)


def test_a_later_format_is_refused(folder: Path) -> None:
    edit(folder, format=2)
    with pytest.raises(BundleError, match="bundle format 2; this version reads 1"):
        load_bundle(folder)


def test_files_outside_the_bundle_are_not_read(folder: Path) -> None:
    edit(folder, files={"encoder.safetensors": "0", "../policy.safetensors": "0"})
    with pytest.raises(BundleError, match="are needed"):
        load_bundle(folder)


def test_an_unknown_key_in_the_manifest_is_refused(folder: Path) -> None:
    edit(folder, _target_="os.system")
    with pytest.raises(ConfigError, match="'_target_' is unknown"):
        load_bundle(folder)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is no bundle: it has no manifest\.json"):
        load_bundle(tmp_path)


def test_a_policy_of_other_features_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="the policy reads 64 features, the encoder gives 128"):
        save(tmp_path, fitted=policy(features=64))


def test_a_task_that_the_contract_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="task 'dance' is unknown"):
        save(tmp_path, fitted=policy(tasks=("dance",)))


def edit(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"checksum": None} | changes))
