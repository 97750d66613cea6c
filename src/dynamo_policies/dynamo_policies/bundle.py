"""What is deployed: encoder, policy, contract and their history in one folder. Nothing in it can run code.

`manifest.json` names the SHA-256 of every other file and of its own values; the digest of a bundle is the
SHA-256 of its manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynamo_policies import __version__
from dynamo_policies.actions import ActionSpace, action_space
from dynamo_policies.configs import build
from dynamo_policies.contract import Contract, parse_contract
from dynamo_policies.decode import FrameSettings
from dynamo_policies.embed import Embedder, Precision
from dynamo_policies.encoders import EncoderRecord, LoadedEncoder, encoder_from
from dynamo_policies.errors import DynamoError
from dynamo_policies.novelty import Novelty, load_novelty
from dynamo_policies.policies.base import Policy, PolicyRecord
from dynamo_policies.policies.table import policy_kind
from dynamo_policies.tensorfiles import file_hash, read_json, read_tensors, write_json, write_tensors

FORMAT = 1
MANIFEST, ENCODER, POLICY = "manifest.json", "encoder.safetensors", "policy.safetensors"
NOVELTY = "novelty.safetensors"  # not in bundles of before


class BundleError(DynamoError):
    """A bundle is damaged, was changed, or its parts do not fit each other."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All of a bundle but its tensors."""

    format: int
    contract: str  # YAML
    contract_hash: str
    frames: FrameSettings
    cameras: tuple[str, ...]
    tasks: tuple[str, ...]
    reference_rotation: tuple[float, ...]
    relative: bool
    encoder: EncoderRecord
    policy: PolicyRecord
    bag_hashes: tuple[str, ...]
    metrics: dict[str, float]
    versions: dict[str, str]
    git_revision: str | None
    files: dict[str, str]  # name -> SHA-256
    checksum: str | None = None  # of all the above; None in bundles of before


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory, ready to act."""

    contract: Contract
    embedder: Embedder
    policy: Policy
    manifest: Manifest
    digest: str
    novelty: Novelty | None = None  # None in a bundle that was made before this was kept

    @property
    def frames(self) -> FrameSettings:
        """How camera images become the encoder's input."""
        return self.manifest.frames

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the policy was fitted to."""
        return self.manifest.tasks

    @property
    def actions(self) -> ActionSpace:
        """What the numbers of an action mean."""
        return self.policy.space


def save_bundle(
    folder: Path,
    *,
    contract: Contract,
    encoder: LoadedEncoder,
    policy: Policy,
    bag_hashes: tuple[str, ...] = (),
    metrics: Mapping[str, float] | None = None,
    novelty: Novelty | None = None,
) -> str:
    """Write a bundle into `folder` and return its digest; `novelty` knows what was demonstrated.

    Raises:
        BundleError: the parts do not fit each other.
    """
    cameras = tuple(contract.cameras)
    _check_parts(contract, cameras, len(cameras) * encoder.record.config.feature_size, policy.record)
    write_tensors(folder / ENCODER, encoder.encoder.trunk.state_dict())
    write_tensors(folder / POLICY, policy.tensors())
    if novelty is not None:
        novelty.save(folder / NOVELTY)
    written = (ENCODER, POLICY) if novelty is None else (ENCODER, POLICY, NOVELTY)
    manifest = Manifest(
        format=FORMAT,
        contract=contract.to_yaml(),
        contract_hash=contract.hash,
        frames=encoder.record.config.frames,
        cameras=cameras,
        tasks=policy.record.tasks,
        reference_rotation=contract.reference_rotation,
        relative=policy.space.relative,
        encoder=encoder.record,
        policy=policy.record,
        bag_hashes=bag_hashes,
        metrics=dict(metrics or {}),
        versions=versions(),
        git_revision=git_revision(Path(__file__).parent),
        files={name: file_hash(folder / name) for name in written},
    )
    values = dataclasses.asdict(manifest)
    write_json(folder / MANIFEST, values | {"checksum": _checksum(values)})
    return file_hash(folder / MANIFEST)


def load_bundle(path: Path | str, *, device: str = "cpu", precision: Precision = "float32") -> Bundle:
    """Return the bundle in the folder `path`; only the encoder runs on `device` and in `precision`.

    Raises:
        BundleError: a file is missing or changed, the format is unknown, or the parts do not fit each other.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    contract = _checked_contract(manifest, where=f"{folder / MANIFEST}: contract")
    tensors, _ = read_tensors(folder / ENCODER)
    encoder = encoder_from(manifest.encoder.config, tensors, where=str(folder / ENCODER))
    embedder = Embedder(encoder, manifest.cameras, device=device, precision=precision)
    _check_parts(contract, embedder.cameras, embedder.feature_size, manifest.policy)
    space = dataclasses.replace(
        action_space(contract, relative=manifest.relative), reference_rotation=manifest.reference_rotation
    )
    policy = policy_kind(manifest.policy.policy).load(
        manifest.policy, read_tensors(folder / POLICY)[0], space
    )
    novelty = load_novelty(folder / NOVELTY) if NOVELTY in manifest.files else None
    return Bundle(contract, embedder, policy, manifest, file_hash(folder / MANIFEST), novelty)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the bundle in `folder` after checking every file that it names."""
    if not (folder / MANIFEST).is_file():
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}")
    values = read_json(folder / MANIFEST)
    if values.get("format") != FORMAT:
        raise BundleError(
            f"{folder / MANIFEST} has bundle format {values.get('format')!r}; this version reads {FORMAT}"
        )
    manifest = build(Manifest, values, where=str(folder / MANIFEST))
    if manifest.checksum not in (None, _checksum(values)):
        raise BundleError(f"{folder / MANIFEST} was changed: its values do not fit its checksum")
    if set(manifest.files) - {NOVELTY} != {ENCODER, POLICY}:
        raise BundleError(
            f"{folder / MANIFEST} names {sorted(manifest.files)} where {[ENCODER, POLICY]} are needed"
        )
    for name, expected in manifest.files.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder} lacks {name}, which its manifest names")
        if (given := file_hash(folder / name)) != expected:
            raise BundleError(f"{folder / name} was changed: sha256 {given}, the manifest expects {expected}")
    return manifest


def versions() -> dict[str, str]:
    """Return the versions of what a bundle's behaviour depends on."""
    return {
        "dynamo_policies": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def git_revision(folder: Path) -> str | None:
    """Return the commit that `folder` is checked out at, None where that can't be said."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=5.0, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.strip() if finished.returncode == 0 else None


def _checksum(values: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest's values but the checksum itself."""
    others = {name: value for name, value in values.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def _checked_contract(manifest: Manifest, *, where: str) -> Contract:
    contract = parse_contract(manifest.contract, where=where)
    if contract.hash != manifest.contract_hash:
        made_by = manifest.versions.get("dynamo_policies", "unknown")
        raise BundleError(
            f"{where} has hash {contract.hash}, the manifest has {manifest.contract_hash}: it was edited, or "
            f"version {made_by} read it differently than {__version__} does"
        )
    return contract


def _check_parts(contract: Contract, cameras: tuple[str, ...], features: int, record: PolicyRecord) -> None:
    if cameras != tuple(contract.cameras):
        raise BundleError(f"the cameras are {list(cameras)}, the contract's are {list(contract.cameras)}")
    if record.feature_size != features:
        raise BundleError(f"the policy reads {record.feature_size} features, the encoder gives {features}")
    if record.state_size != len(contract.state_names):
        raise BundleError(
            f"the policy reads {record.state_size} state values, not {list(contract.state_names)}"
        )
    for task in record.tasks:
        contract.task(task)
