"""Imports go one way: a table says which folder may import from which, and files form no circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src" / "litepose"
# Folder -> the folders that its files may import from, besides its own and files of the package.
MAY_IMPORT = {
    "core": (),
    "imaging": ("core",),
    "models": ("core",),
    "decode": ("core",),
    "inference": ("core", "imaging", "models", "decode"),
    "data": ("core", "imaging"),
    "evaluation": ("core", "imaging", "models", "data", "inference"),
    "training": ("core", "imaging", "models", "decode", "inference", "data", "evaluation"),
    "search": ("core", "models", "inference", "data", "evaluation", "training", "export"),
    "export": ("core", "imaging", "models", "decode", "inference", "data", "evaluation"),
    "apps": (
        "core", "imaging", "models", "decode", "inference", "data", "evaluation", "training",
        "search", "export",
    ),
}  # fmt: skip
MOST_LINES = 3200  # of the files directly in a folder
# The inference install has none of these.
HEAVY = ("torch", "scipy", "pydantic", "safetensors", "onnx", "faster_coco_eval", "matplotlib")


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module of the package."""
    found = {}
    for path in SRC.rglob("*.py"):
        parts = ("litepose", *path.relative_to(SRC).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of litepose that a file imports, anywhere in it but for type checking only."""
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if is_type_checking(node):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in inside)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_folders_import_only_what_they_may(folder: str) -> None:
    known = modules()
    allowed = {folder, *MAY_IMPORT[folder]}
    for path in (SRC / folder).rglob("*.py"):
        names = [name.split(".") for name in imports(path, known)]
        used = {name[1] for name in names if name[0] == "litepose" and len(name) > 2}
        wrong = (used & set(MAY_IMPORT)) - allowed
        assert not wrong, f"{path.relative_to(SRC)} may not import from {wrong}"


def test_every_folder_is_in_the_table() -> None:
    folders = {p.name for p in SRC.iterdir() if p.is_dir() and list(p.glob("*.py"))}
    assert folders == set(MAY_IMPORT)


def test_no_files_import_each_other_in_a_circle() -> None:
    known = modules()
    arrows = {name: set(imports(path, known)) & set(known) - {name} for name, path in known.items()}
    try:
        tuple(TopologicalSorter(arrows).static_order())
    except CycleError as circle:
        raise AssertionError(f"files import each other: {' <- '.join(circle.args[1])}") from None


def test_predicting_needs_only_the_inference_install(tmp_path: Path) -> None:
    """With the heavy packages blocked, an image still goes in and people come out."""
    code = (
        f"import sys\nfor name in {HEAVY!r}: sys.modules[name] = None\n"
        "import numpy as np, litepose\n"
        "from litepose.apps.cli.main import build_parser\n"
        "build_parser()\n"
        "poses = litepose.load('p').predict(np.zeros((64, 64, 3), np.uint8))\n"
        "litepose.draw(np.zeros((64, 64, 3), np.uint8), poses)\n"
        "from litepose.models import zoo; assert zoo.MODELS\n"
        "assert len(poses) == 0"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_folder_is_too_large() -> None:
    lines: dict[Path, int] = {}
    for path in modules().values():
        lines[path.parent] = lines.get(path.parent, 0) + len(path.read_text().splitlines())
    large = {str(folder.relative_to(SRC)): n for folder, n in lines.items() if n > MOST_LINES}
    assert not large, f"split or shrink, above {MOST_LINES} lines: {large}"
