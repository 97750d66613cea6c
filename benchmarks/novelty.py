"""What the measure of novelty says of held-out demonstrations, and of the same with one camera spoiled."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dynamo_policies.bags import find_bags
from dynamo_policies.bundle import Bundle, load_bundle
from dynamo_policies.cache import FrameCache
from dynamo_policies.episodes import Episode
from dynamo_policies.novelty import Demonstrated, Novelty, calibrate

Images = npt.NDArray[np.uint8]  # (T, H, W, 3)
NOISE = (15, 36)  # of what a lens cap lets through
SHIFT = 10 / 96  # of an image's width


def main() -> int:
    """Measure, print and write."""
    options = _arguments()
    result = {
        "command": " ".join(["python", "benchmarks/novelty.py", *sys.argv[1:]]),
        "rows": [_row(path, options) for path in options.bundle],
    }
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)
    return 0


def black(images: Images) -> Images:
    """Return nothing but black."""
    return np.zeros_like(images)


def covered(images: Images) -> Images:
    """Return noise around 25, anew for each image."""
    return np.random.default_rng(0).integers(*NOISE, images.shape, np.uint8)


def shifted(images: Images) -> Images:
    """Return images moved to the right by 10 of 96 pixels, their edge repeated."""
    pixels = round(images.shape[2] * SHIFT)
    return np.pad(images, ((0, 0), (0, 0), (pixels, 0), (0, 0)), mode="edge")[:, :, :-pixels]


def darker(images: Images) -> Images:
    """Return images half as bright."""
    return images // 2


def half_covered(images: Images) -> Images:
    """Return images whose left half is `covered`."""
    width = images.shape[2] // 2
    return np.concatenate([covered(images)[:, :, :width], images[:, :, width:]], axis=2)


SPOILINGS: dict[str, Callable[[Images], Images]] = {
    one.__name__: one for one in (black, covered, shifted, darker, half_covered)
}


def _row(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return what one bundle says of all ticks, and of those of some episodes with each camera spoiled."""
    bundle = load_bundle(path)
    if bundle.novelty is None:
        raise SystemExit(f"{path} knows no demonstrations; `dynamo train` writes bundles that do")
    episodes = FrameCache(options.cache).episodes(find_bags(options.bags), bundle.frames)
    episodes = episodes[: options.most]
    chosen = [episodes[place] for place in _spread(len(episodes), options.spoiled)]
    measures = {"by_view": bundle.novelty, "views_joined": _joined(bundle.novelty)}
    return {
        "bundle": bundle.digest,
        "objective": bundle.manifest.encoder.objective,
        "kept": len(bundle.novelty),
        "episodes": len(episodes),
        "held_out": _said(bundle, measures, [episode.images for episode in episodes]),
        "spoiled_episodes": [episode.path.name for episode in chosen],
        "spoiled": {
            name: {
                camera: _said(bundle, measures, [_spoiled(one, camera, spoil) for one in chosen])
                for camera in bundle.manifest.cameras
            }
            for name, spoil in SPOILINGS.items()
        },
    }


def _said(
    bundle: Bundle, measures: Mapping[str, Novelty], views: Sequence[Mapping[str, Images]]
) -> dict[str, Any]:
    """Return the ticks of all episodes' `views`, and for each measure how many count as new."""
    features = np.concatenate([bundle.embedder.embed_ticks(images) for images in views])
    said: dict[str, Any] = {"ticks": len(features)}
    for name, novelty in measures.items():
        ratios = np.array([novelty.nearest(row).ratio for row in features])
        said[name] = {
            "above_1": int((ratios > 1.0).sum()),
            "median": float(np.median(ratios)),
            "largest": float(ratios.max()),
        }
    return said


def _spoiled(episode: Episode, camera: str, spoil: Callable[[Images], Images]) -> dict[str, Images]:
    return {**episode.images, camera: spoil(np.asarray(episode.images[camera]))}


def _joined(novelty: Novelty) -> Novelty:
    """Return the same demonstrations with one distance over the features of all views."""
    features = novelty.features.reshape(len(novelty), -1)
    rows = [novelty.episodes == episode for episode in np.unique(novelty.episodes)]
    nothing = np.zeros((len(novelty), 1, 1, 3), np.uint8)
    return calibrate(
        [Demonstrated(features[own], {"": nothing[own]}, novelty.ticks_ns[own]) for own in rows], views=1
    )


def _spread(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` places out of `count`, evenly spread."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(wanted, count)).round()})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--bundle", type=Path, nargs="+", required=True, help="folders that `dynamo train` wrote"
    )
    parser.add_argument("--bags", type=Path, required=True, help="demonstrations that they did not see")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "dynamo" / "frames")
    parser.add_argument("--spoiled", type=int, default=4, help="episodes to spoil the cameras of (default 4)")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="two episodes, one spoiled: that it works")
    options = parser.parse_args()
    options.most = None
    if options.quick:
        options.most, options.spoiled = 2, 1
    return options


if __name__ == "__main__":
    raise SystemExit(main())
