"""SECURITY.md says that there is no telemetry: a prediction leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ASTRONAUT = Path(__file__).parents[1] / "examples" / "images" / "astronaut.jpg"
SEEN = """
import sys, time, litepose
people = litepose.load("p", threads=1, input_size=128).predict(sys.argv[1])
time.sleep(0.3)  # onnxruntime would have a thread for it
"""


def test_a_prediction_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment = {k: v for k, v in environment.items() if not k.startswith("XDG_")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "TMPDIR", "TEMP", "TMP"):
        (tmp_path / name).mkdir()
        environment[name] = str(tmp_path / name)
    subprocess.run([sys.executable, "-c", SEEN, str(ASTRONAUT)], env=environment, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
