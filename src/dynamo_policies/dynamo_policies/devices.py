"""Where networks run."""

from __future__ import annotations

import torch

from dynamo_policies.errors import ConfigError

POSSIBLE = ("cpu", "cuda")


def check_device(name: str) -> torch.device:
    """Return the device that `name` is, such as `cpu`, `cuda` or `cuda:1`.

    Raises:
        ConfigError: it is of another kind, or not in this computer.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown; possible are {', '.join(POSSIBLE)}") from error
    if device.type not in POSSIBLE:
        raise ConfigError(f"device {name!r} is not supported; possible are {', '.join(POSSIBLE)}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ConfigError(
            f"device {name!r} is asked for; torch {torch.__version__} sees {count} of CUDA here"
        )
    return device
