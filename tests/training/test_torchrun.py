"""torchrun restarts a run of which a process was killed, and it ends as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.training import runs  # noqa: E402

PROGRAM = """
import json, os, sys
from pathlib import Path
from litepose.training.config_file import config_from_dict
from litepose.training.trainer import train
rank, begun = os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]
Path(sys.argv[2], f"pid-{rank}-{begun}").write_text(str(os.getpid()))
train(config_from_dict(json.loads(sys.argv[1])), resume=True)
"""


def start(folder: Path, settings: dict) -> subprocess.Popen:
    """As docs/training.md says: `--resume` from the beginning, so that a restart goes on."""
    folder.mkdir()
    program = folder / "program.py"
    program.write_text(PROGRAM)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen(
        [sys.executable, *torchrun, "--max-restarts=2", program, json.dumps(settings), folder],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    end = time.monotonic() + 150
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, f"no {path.name}"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_process_costs_less_than_an_epoch(people: Path, tmp_path: Path) -> None:
    outputs = {name: tmp_path / f"{name}-run" for name in ("calm", "disturbed")}
    settings = {name: runs.table(people, output, epochs=4) for name, output in outputs.items()}
    calm = start(tmp_path / "calm", settings["calm"])
    runs.finish(calm)
    disturbed = start(tmp_path / "disturbed", settings["disturbed"])
    wait_for(outputs["disturbed"] / "resume.pt", disturbed)
    victim = int((tmp_path / "disturbed/pid-1-0").read_text())
    os.kill(victim, signal.SIGKILL)
    runs.finish(disturbed)
    assert (tmp_path / "disturbed/pid-1-1").exists(), "it ended before it was killed"
    assert runs.same(runs.weights(outputs["calm"]), runs.weights(outputs["disturbed"]))
    assert [m["epoch"] for m in runs.metrics(outputs["disturbed"])] == [
        m["epoch"] for m in runs.metrics(outputs["calm"])
    ]
