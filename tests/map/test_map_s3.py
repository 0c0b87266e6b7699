"""`litepose map` from and to a server of S3's protocol, where s3fs and moto are installed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto.server")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the server's own making
def test_a_bucket_is_mapped_into_a_bucket(images: list[bytes], monkeypatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", port], stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while not listens(int(port)):
            assert time.monotonic() < end
            time.sleep(0.1)
        fs = s3fs.S3FileSystem()
        fs.mkdir("bucket")
        for i, data in enumerate(images[:5]):
            fs.pipe_file(f"bucket/in/{i}.jpg", data)
        command = [sys.executable, "-m", "litepose", "map", "s3://bucket/in", "--workers", "1"]
        command += ["--output", "s3://bucket/out", "--effort", "fast", "--size", "96"]
        command += ["--images-per-part", "2"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["images"] == 5
        fs.invalidate_cache()
        assert len(fs.ls("bucket/out/people")) == 3 and not fs.exists("bucket/out/_map/lock")
    finally:
        server.kill()
        server.wait()
