"""The Containerfile's steps, as far as they run without a container."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[3]
LITEPOSE = Path(sys.executable).parent / "litepose"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """(instruction, its text), continued lines joined."""
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def test_it_installs_what_the_project_has(steps: list[tuple[str, str]]) -> None:
    [install] = [text for kind, text in steps if kind == "RUN" and "pip install" in text]
    words = shlex.split(install)
    extra = re.fullmatch(r"/source\[(\w+)\]", words[-1])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra and extra[1] in project["optional-dependencies"]
    constraints = words[words.index("-c") + 1]
    assert (ROOT / Path(constraints).relative_to("/source")).is_file()
    minor = {int(re.search(r"python:3\.(\d+)-slim", text)[1]) for k, text in steps if k == "FROM"}
    assert len(minor) == 1 and minor.pop() >= int(project["requires-python"].split(".")[1])


def test_nobody_is_root(steps: list[tuple[str, str]]) -> None:
    kinds = [kind for kind, _ in steps]
    assert dict(steps)["USER"] == "litepose" and kinds.index("USER") < kinds.index("CMD")


@pytest.mark.slow
def test_its_command_serves_and_its_check_hears_it(
    steps: list[tuple[str, str]], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [word.replace("8000", port) for word in json.loads(dict(steps)["CMD"])]
    check = json.loads(dict(steps)["HEALTHCHECK"].partition("CMD ")[2].replace("8000", port))
    assert command[0] == "litepose" and check[0] == "python"
    env = {"HOME": str(tmp_path), "PATH": str(LITEPOSE.parent), "LITEPOSE_TOKEN": "a secret word"}
    server = subprocess.Popen([str(LITEPOSE), *command[1:]], env=env, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while subprocess.run([sys.executable, *check[1:]], stderr=-3, check=False).returncode:
            assert time.monotonic() < end and server.poll() is None
            time.sleep(0.2)
        address = f"http://127.0.0.1:{port}"
        assert "litepose" in httpx.get(address).text
        assert httpx.post(f"{address}/v1/poses").status_code == 401
        image = (ROOT / "examples/images/astronaut.jpg").read_bytes()
        headers = {"Authorization": "Bearer a secret word", "Content-Type": "image/jpeg"}
        found = httpx.post(f"{address}/v1/poses", content=image, headers=headers, timeout=60)
        assert len(found.json()["people"]) == 1
        kept = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not kept, "a read-only container needs no place but /tmp"
    finally:
        server.terminate()
        assert server.wait(30) == 130
