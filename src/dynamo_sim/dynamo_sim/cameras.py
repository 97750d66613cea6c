"""Pictures of a MuJoCo model, without a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.streams import ImageStream
from dynamo_ros.core.graphics import GRAPHICS_FAILURES, GraphicsError, mujoco


class Cameras:
    """Renders named cameras of a model at the sizes of their streams.

    The graphics context is made at the first picture and belongs to the thread that asked for it: take every
    picture, and close, in that thread.
    """

    def __init__(self, model: Any, streams: dict[str, ImageStream]) -> None:
        self._model, self._streams = model, streams
        self._renderers: dict[tuple[int, int], Any] = {}

    def render(self, name: str, data: Any) -> npt.NDArray[np.uint8]:
        """Return what camera `name` sees, (H, W, 3) uint8 RGB; GraphicsError where graphics are missing."""
        stream = self._streams[name]
        size = (stream.height, stream.width)
        if size not in self._renderers:
            self._renderers[size] = _renderer(self._model, *size)
        renderer = self._renderers[size]
        renderer.update_scene(data, name)
        image: npt.NDArray[np.uint8] = renderer.render().copy()
        return image

    def close(self) -> None:
        """Free the graphics context."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()


def _renderer(model: Any, height: int, width: int) -> Any:
    try:
        renderer = mujoco.Renderer(model, height, width)
    except (*GRAPHICS_FAILURES, mujoco.FatalError) as error:
        raise GraphicsError(error) from error
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        renderer.scene.flags[flag] = 0
    return renderer
