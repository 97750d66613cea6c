"""How long after the stop of a 60-second episode its verdict is there, and stored with the episode.

The recorder's writer is given the messages of the kitchen (two cameras at 30 Hz, joints at 100 Hz, targets at
50 Hz) as fast as the disk takes them. What was measured while recording is judged on the thread that writes;
`answered_seconds` is how long the operator's call takes, `bag_seconds` what a second pass over the bag would.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from heapq import merge
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the synthetic messages of the tests

from bag_factory import Raw, stream_messages
from dynamo_policies.bag_quality import bag_quality
from dynamo_policies.bags import read_info
from dynamo_policies.contract import Contract, load_contract
from dynamo_policies.streams import ImageStream
from dynamo_policies.verdict import KEY, parse_verdict
from dynamo_ros.core.recording import EpisodeWriter
from raw_faults import stamp_ns, stamped

CONTRACT = Path(__file__).parents[1] / "config" / "robots" / "xarm_kitchen.yaml"
EPISODE_S = 60.0
WAITING_BYTES = 64 << 20  # Given more than the disk takes, the writer would drop.


def sized(width: int, height: int) -> Contract:
    """Return the kitchen's contract with cameras of this size."""
    contract = load_contract(CONTRACT)
    cameras = {name: replace(one, width=width, height=height) for name, one in contract.cameras.items()}
    return replace(contract, streams=contract.streams | cameras)


def messages(contract: Contract, name: str) -> Iterator[Raw]:
    """Yield a stream's messages of the episode; images repeat every second, with stamps of their own."""
    stream = contract.streams[name]
    if not isinstance(stream, ImageStream):
        yield from stream_messages(contract, name, EPISODE_S)
        return
    second = list(stream_messages(contract, name, 1.0))
    first_ns, delay_ns = stamp_ns(second[0]), second[0].receive_ns - stamp_ns(second[0])
    for place, raw in enumerate(islice(cycle(second), round(EPISODE_S * stream.rate_hz))):
        stamp = first_ns + round(place * 1e9 / stream.rate_hz)
        yield stamped(raw, stamp)._replace(receive_ns=stamp + delay_ns)


def record(path: Path, contract: Contract) -> dict[str, float | str]:
    """Record an episode and return the times after its stop, seconds."""
    writer = EpisodeWriter(path, contract, next(iter(contract.tasks)))
    count = 0
    streams = (messages(contract, name) for name in contract.streams)
    for raw in merge(*streams, key=lambda raw: raw.receive_ns):
        while writer.waiting_bytes > WAITING_BYTES:
            time.sleep(0.005)
        assert writer.write(*raw)
        count += 1
    stopped = time.perf_counter()
    writer.end("success")
    judged = time.perf_counter()
    summary = writer.summary()
    verdict = parse_verdict(read_info(summary.path).custom[KEY])
    stored = time.perf_counter()
    bag_quality(read_info(summary.path))
    return {
        "seconds": stored - stopped,
        "answered_seconds": judged - stopped,
        "bag_seconds": time.perf_counter() - stored,
        "messages": count,
        "megabytes": summary.bytes / 1e6,
        "verdict": str(verdict),
    }


def main() -> int:
    """Measure, print and store the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="images of 128x128 instead of 640x480")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="verdict"))
    try:
        figures = record(folder / "episode", sized(128, 128) if arguments.quick else sized(640, 480))
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
