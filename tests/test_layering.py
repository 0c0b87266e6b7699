"""The arrows go one way: a folder imports only from folders above it in the house."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "litepose"
ORDER = (
    "core", "imaging", "model", "decode", "runtime", "data",
    "evaluation", "training", "export", "apps",
)  # fmt: skip
# The inference install has none of these.
HEAVY = ("torch", "scipy", "pydantic", "safetensors", "onnx", "faster_coco_eval", "rich", "tyro")


def imported_folders(path: Path) -> set[str]:
    """Folders of litepose that a file imports from, anywhere in it, but for type checking only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {n.split(".")[1] for n in names if n.startswith("litepose.") and "." in n}
    return found


@pytest.mark.parametrize("folder", ORDER)
def test_imports_point_up(folder: str) -> None:
    allowed = set(ORDER[: ORDER.index(folder) + 1])
    for path in (SRC / folder).rglob("*.py"):
        wrong = imported_folders(path) - allowed
        assert not wrong, f"{path.relative_to(SRC)} imports from {wrong}, which lies below it"


def test_every_folder_has_its_place() -> None:
    folders = {p.name for p in SRC.iterdir() if p.is_dir() and list(p.glob("*.py"))}
    assert folders == set(ORDER)


def test_predicting_needs_only_the_inference_install(tmp_path: Path) -> None:
    """With the heavy packages blocked, a picture still goes in and people come out."""
    code = (
        f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
        "import numpy as np, litepose\n"
        "from litepose.apps.cli.main import build_parser\n"
        "build_parser()\n"
        "poses = litepose.load().predict(np.zeros((64, 64, 3), np.uint8))\n"
        "litepose.draw(np.zeros((64, 64, 3), np.uint8), poses)\n"
        "from litepose.model import zoo; assert zoo.MODELS\n"
        "assert len(poses) == 0"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
