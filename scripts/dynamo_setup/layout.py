"""Where everything lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders of one checkout."""

    root: Path

    @property
    def venv(self) -> Path:
        """The Python environment, which is also the ROS prefix when ROS comes from PyPI."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def stamps(self) -> Path:
        """One file for each finished stage; it goes when the environment goes."""
        return self.venv / ".setup"

    @property
    def work(self) -> Path:
        """Logs, the lock and built interface packages; it outlives the environment."""
        return self.root / ".setup"

    @property
    def requirements(self) -> Path:
        """The pinned lists of packages."""
        return self.root / "requirements"

    @property
    def workspace(self) -> Path:
        """The colcon workspace."""
        return self.root / "ros2_ws"
