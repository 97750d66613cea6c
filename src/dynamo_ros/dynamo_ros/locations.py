"""Where the files of the installation are, with ROS or without."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_path

from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.errors import ConfigError, UnknownNameError

SOURCES = Path(__file__).resolve().parents[3]


def config_folder() -> Path:
    """Return the folder of the configuration: the checkout's, or else the installation's."""
    # In a checkout its own files hold, also those that are newer than the last build.
    sources = SOURCES / "config"
    return sources if sources.is_dir() else Path(get_package_share_path("dynamo_ros")) / "config"


def contract_path(name: str) -> Path:
    """Return the file of a contract given by name, as `xarm_kitchen`, or by path.

    Raises:
        ConfigError: there is no such file.
        UnknownNameError: there is no such name.
    """
    if "/" in name or name.endswith(".yaml"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(f"contract {name!r}: no such file")
        return path
    known = {path.stem: path for path in (config_folder() / "robots").glob("*.yaml")}
    if name not in known:
        raise UnknownNameError("contract", name, known)
    return known[name]


def find_contract(name: str) -> Contract:
    """Return the contract given by name or by path; see `contract_path`."""
    return load_contract(contract_path(name))
