"""The notebook runs from top to bottom and says what it promises; its drawing is up to date."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "litepose.ipynb"
DRAWING = ROOT / "docs" / "images" / "architecture.svg"
LEAST_AP, LEAST_COCO_AP = 15.0, 8.0  # 34 and 19 are usual
LEAST_AP_SHORTENED = 4.0
MOST_BYTES = 1.5e6
FIGURES = ("image/jpeg", "image/svg+xml")


def run_notebook(folder: Path, changes: dict[str, str] | None = None) -> list[Any]:
    """The executed code cells of a copy in `folder`, in which `changes` replaced words."""
    import nbformat  # half a second, and only the slow tests need it
    from nbclient import NotebookClient

    shutil.copytree(NOTEBOOK.parent / "images", folder / "images")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for old, new in (changes or {}).items():
        assert any(old in cell.source for cell in notebook.cells), f"the notebook has no {old}"
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=1200, resources=where).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cells: list[Any]) -> str:
    texts = [out.get("text", "") for cell in cells for out in cell["outputs"]]
    return "".join("".join(text) for text in texts)  # a file has a list of lines


def count_figures(cells: list[Any]) -> int:
    shown = [out.get("data", {}) for cell in cells for out in cell["outputs"]]
    return sum(kind in data for data in shown for kind in FIGURES)


def mean_ap(text: str) -> float:
    """The AP that the evaluation's table says."""
    found = re.search(r"^AP +([\d.]+) \[", text, re.MULTILINE)
    assert found, "no AP was printed"
    return float(found[1])


def committed_cells() -> list[Any]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_notebook_runs_and_its_network_learns(tmp_path):
    # The beginning of the training; the committed outputs are of all of it.
    cells = run_notebook(tmp_path, {"epochs=7": "epochs=3"})
    text = printed(cells)
    assert mean_ap(text) > LEAST_AP_SHORTENED
    assert "total time" in text and "validation losses" in text
    assert count_figures(cells) == count_figures(committed_cells())
    assert "flip test" in text and "outputs differ by at most" in text


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_notebook_runs_on_coco(tmp_path, shared):
    folder = str(shared / "data" / "coco-part")
    shorter = {
        'COCO = ""': f"COCO = {folder!r}",
        "epochs=7": "epochs=1",
        "length=1500": "length=48",
        "min(100,": "min(40,",
    }
    cells = run_notebook(tmp_path, shorter)
    assert mean_ap(printed(cells)) > LEAST_COCO_AP
    assert not (tmp_path / "out" / "notebook").exists()


def test_committed_notebook_is_executed_small_and_clean():
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    cells = committed_cells()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert count_figures(cells) >= 12
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]
    assert mean_ap(printed(cells)) > LEAST_AP
    found = re.search(r"/(home|root|tmp|work|usr|Users)/.*", printed(cells))
    assert not found, f"a path of some machine: {found[0]}"


def test_drawing_shows_the_networks_as_they_are():
    draw = runpy.run_path(str(DRAWING.with_suffix(".py")))["draw"]
    assert DRAWING.read_text(encoding="utf-8") == draw(), "run docs/images/architecture.py"
