"""A search: what it finds, what it keeps over a kill, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.training.runs import config

from litepose.core.errors import LitePoseError
from litepose.models.checkpoint import load_checkpoint
from litepose.search.config import read_search
from litepose.search.evolution import search
from litepose.search.limit import Limit
from litepose.training.trainer import train

SUPERNET = {"widths": [1.0, 0.5], "fewer_blocks": 1, "expansions": [3], "samples": 0}


@pytest.fixture(scope="module")
def supernet(people, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("supernet") / "run"
    before = torch.get_num_threads()
    train(config(people, output, supernet=SUPERNET, epochs=1))
    torch.set_num_threads(before)
    return output / "last.supernet.safetensors"


@pytest.fixture
def settings(people, supernet, tmp_path):
    file = tmp_path / "search.toml"
    file.write_text(
        f"supernet = {str(supernet)!r}\noutput = {str(tmp_path / 'search')!r}\n"
        "evaluations = 5\npopulation = 3\nthreads = 1\n"
        f"[data]\nroot = {str(people)!r}\nimages = 2\ncalibration_images = 4\n"
        "[data.evaluate]\nsplit = 'val'\n[data.calibrate]\nsplit = 'train'\n"
    )
    return file


def written(settings: Path) -> dict:
    return json.loads((settings.parent / "search/front.json").read_text())


@pytest.mark.slow
def test_front(settings, threads_as_before) -> None:
    front = search(read_search(settings), Limit.parse("macs<20M"))
    found = written(settings)
    assert len(found["evaluations"]) == 5
    assert all(one["macs"] < 20e6 for one in found["evaluations"])
    costs, aps = zip(*((one.cost, one.ap) for one in front), strict=True)
    assert list(costs) == sorted(costs)
    assert list(aps) == sorted(aps)
    for one in found["evaluations"]:  # none beats the front
        assert any(f.cost <= one["cost"] and f.ap >= one["ap"] for f in front)
    for row in found["front"]:
        _, info = load_checkpoint(settings.parent / "search" / row["file"])
        assert info.arch["stages"][0]["width"] == row["genes"]["stages.0.width"]
    assert (settings.parent / "search/front.png").stat().st_size > 1000


@pytest.mark.slow
def test_nothing_is_evaluated_twice(settings, monkeypatch, threads_as_before) -> None:
    from litepose.search import candidate

    search(read_search(settings))
    calls = []
    own = candidate.CandidateEvaluator.ap
    monkeypatch.setattr(candidate.CandidateEvaluator, "ap", lambda *a: calls.append(1) or own(*a))
    before = written(settings)["evaluations"]
    search(read_search(settings, ["evaluations=7"]))
    assert len(calls) == 2
    after = written(settings)["evaluations"]
    assert after[:5] == before
    assert len({json.dumps(one["genes"], sort_keys=True) for one in after}) == 7


def command(settings: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "litepose", "search", str(settings), *more]


@pytest.mark.slow
def test_killed_and_resumed(settings) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    many = "evaluations=200"
    process = subprocess.Popen(
        command(settings, many), env=environment, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    study = settings.parent / "search/study.db"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and evaluated(study) < 3:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = evaluated(study)
    assert before >= 3
    done = subprocess.run(
        command(settings, f"evaluations={before + 2}", "--processes", "2"),
        env=environment, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Each process may be at a candidate when the last one is done, and both at the same one.
    assert before + 2 <= evaluated(study) <= before + 5
    assert json.loads(done.stdout)["front"]


def evaluated(study: Path) -> int:
    """How many candidates the study on disk has evaluated."""
    import sqlite3

    if not study.exists():
        return 0
    try:
        with sqlite3.connect(study, timeout=30) as connection:
            key = "SELECT COUNT(*) FROM trial_user_attributes WHERE key = 'evaluated'"
            return connection.execute(key).fetchone()[0]
    except sqlite3.OperationalError:  # its tables are being made
        return 0


@pytest.mark.slow
def test_another_search_in_the_folder(settings, threads_as_before) -> None:
    search(read_search(settings))
    with pytest.raises(LitePoseError, match=r"holds a search with another cost and limit"):
        search(read_search(settings), Limit.parse("params<10M"))


@pytest.mark.slow
def test_a_file_that_is_no_study(settings, threads_as_before) -> None:
    folder = settings.parent / "search"
    folder.mkdir()
    (folder / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(LitePoseError, match=r"study\.db is damaged, or no study"):
        search(read_search(settings))


@pytest.mark.slow
def test_limit_that_none_meets_says_the_nearest(settings, threads_as_before) -> None:
    with pytest.raises(LitePoseError, match=r"below 0\.001 GMACs; the smallest has 0\.0\d+ GMACs"):
        search(read_search(settings), Limit.parse("macs<0.001G"))


@pytest.mark.parametrize(
    ("text", "kind", "most"),
    [("macs<1.2G", "macs", 1.2e9), ("params <= 2M", "params", 2e6), ("latency<30ms", "latency", 30),
     ("latency<4", "latency", 4)],
)  # fmt: skip
def test_limits(text, kind, most) -> None:
    assert Limit.parse(text) == Limit(kind, most)


@pytest.mark.parametrize(
    "text", ["", "macs", "macs<", "flops<1G", "macs<30ms", "latency<2G", "macs<1.2.3"]
)
def test_limits_that_are_none(text) -> None:
    with pytest.raises(LitePoseError, match="a limit is written as"):
        Limit.parse(text)


@pytest.mark.slow
def test_missing_supernet(settings) -> None:
    with pytest.raises(LitePoseError, match=r"nowhere\.safetensors"):
        search(read_search(settings, ["supernet=nowhere.safetensors"]))


@pytest.mark.slow
def test_mistakes_are_listed(settings) -> None:
    with pytest.raises(LitePoseError, match=r"evaluation: unknown key.*evaluations"):
        read_search(settings, ["evaluation=3"])
