"""stdin, stdout and stderr may be closed, broken or full: work is done, and nothing is mixed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PREDICT = '"$0" -m litepose predict --size 64 --model p a.jpg missing.jpg'


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(folder / "a.jpg")
    return subprocess.run(
        ["bash", "-c", line, sys.executable],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("closing", ["2>&-", "<&- 2>&-", "2>/dev/full", "2> >(:)"])
def test_without_stderr_the_work_is_done(closing: str, tmp_path: Path) -> None:
    done = shell(f"{PREDICT} {closing}", tmp_path)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and len(records) == 3, done.stderr
    assert records[2]["failed"] == 1 and (tmp_path / "a.pose.jpg").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("closing", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_without_stdout_images_are_drawn(closing: str, tmp_path: Path) -> None:
    done = shell(f"{PREDICT} {closing}", tmp_path)
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    assert (tmp_path / "a.pose.jpg").is_file()


@pytest.mark.slow
def test_escape_sequences_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    name = "\x1b[2J.jpg"
    done = shell(f"{PREDICT} $'{name}'", tmp_path)
    assert done.returncode == 1 and "\x1b" not in done.stdout + done.stderr
    assert r"\x1b[2J.jpg" in done.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    done = shell(f"{PREDICT} > >(:); echo $?", tmp_path)
    assert done.stdout.strip() in ("0", "1") and done.stderr.count("\n") <= 2, done.stderr
