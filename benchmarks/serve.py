"""The server under load: 64 clients for a minute on loopback, against the folder rate of predict.

    python benchmarks/serve.py [--seconds 60] [--clients 64] [--effort fast]

Each client posts the same image again and again; one that is told 429 waits as Retry-After says,
and up to as long again, so that not all come back at the same moment. Prints images/s, the latency
of answers, how soon 429s come, memory growth after the first quarter, and whether each accepted
request was answered. Last line: JSON. Exit code 1 where one was lost, the memory grew by 5 % or
more, or a 429 in twenty took 50 ms or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import litepose
from litepose.apps.bench.folder import measure_folder

IMAGE = Path(__file__).resolve().parents[1] / "examples" / "images" / "astronaut.jpg"
COPIES = 60  # of the image in the folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--effort", default="fast")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / f"{i}.jpg" for i in range(COPIES)]
        for copy in copies:
            shutil.copyfile(IMAGE, copy)
        folder_rate = measure_folder(litepose.load(effort=options.effort), copies).many
    server = subprocess.Popen(
        [sys.executable, "-m", "litepose", "serve", "--port", "0", "--queue", "16"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        address = server.stderr.readline().split()[0]
        found = asyncio.run(load(address, server.pid, options))
    finally:
        server.terminate()
        server.wait()
    found |= {"benchmark": "serve", "folder_rate": folder_rate,
              "of_folder_rate": found["images_per_second"] / folder_rate}  # fmt: skip
    for key, value in found.items():
        print(f"{key:18} {value:.3f}" if isinstance(value, float) else f"{key:18} {value}")
    print(json.dumps(found))
    quick = found["refused_p95_ms"] is None or found["refused_p95_ms"] < 50
    return 0 if found["lost"] == 0 and found["memory_growth"] < 0.05 and quick else 1


async def load(address: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    """What `clients` saw in `seconds`."""
    content = IMAGE.read_bytes()
    parts = urlsplit(address)
    request = (
        f"POST /v1/poses?effort={options.effort} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content
    answered: list[float] = []
    refused: list[float] = []
    lost = 0
    rng = random.Random(0)
    status, _ = await Client(parts.hostname, parts.port).send(request)  # the model is opened
    assert status == 200
    end = time.monotonic() + options.seconds
    memory: list[tuple[float, float]] = []

    async def visit() -> None:
        nonlocal lost
        client = Client(parts.hostname, parts.port)
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                status, reply = await client.send(request)
            except (OSError, asyncio.IncompleteReadError):
                lost += 1
                continue
            took = 1e3 * (time.perf_counter() - began)
            if status == 429:
                refused.append(took)
                wait = float(re.search(rb"retry-after: (\d+)", reply)[1])
                await asyncio.sleep(wait * rng.uniform(1, 2))
            elif status == 200 and reply.count(b'"score"') == 1:
                answered.append(took)
            else:
                lost += 1

    async def watch() -> None:
        while time.monotonic() < end:
            memory.append((time.monotonic(), resident_mb(pid)))
            await asyncio.sleep(0.5)

    await asyncio.gather(watch(), *(visit() for _ in range(options.clients)))
    warm = [mb for at, mb in memory if at > end - 0.75 * options.seconds]
    third = max(1, len(warm) // 3)
    growth = statistics.median(warm[-third:]) / statistics.median(warm[:third]) - 1
    p50, p95, p99 = (percentile(answered, share) for share in (50, 95, 99))
    return {
        "images_per_second": len(answered) / options.seconds,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "answered": len(answered),
        "refused": len(refused),
        "refused_p95_ms": percentile(refused, 95) if refused else None,
        "lost": lost,
        "memory_mb": warm[-1],
        "memory_growth": growth,
    }


class Client:
    """One connection that is kept. A client library would take a fifth of the cores measured."""

    def __init__(self, host: str, port: int) -> None:
        self.address, self.streams = (host, port), None

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status, and header with body. Raises OSError or IncompleteReadError."""
        try:
            self.streams = self.streams or await asyncio.open_connection(*self.address)
            reader, writer = self.streams
            writer.write(request)
            header = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", header)[1])
            return int(header.split()[1]), header + await reader.readexactly(length)
        except BaseException:
            self.streams = None
            raise


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share / 100))]


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
