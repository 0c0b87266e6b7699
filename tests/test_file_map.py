"""docs/architecture.md names the files and functions that exist."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

MAP = Path(__file__).parents[1] / "docs/file_map.py"


def test_the_map_is_todays() -> None:
    made = runpy.run_path(str(MAP))
    there = made["DOCUMENT"].read_text(encoding="utf-8")
    assert made["BEGIN"] in there and there == made["with_map"](there), "run docs/file_map.py"


def test_every_file_is_on_it_once() -> None:
    made = runpy.run_path(str(MAP))
    there = made["DOCUMENT"].read_text(encoding="utf-8")
    names = [p.name for p in made["SOURCE"].rglob("*.py") if p.name != "__init__.py"]
    for name in set(names):
        assert there.count(f"- `{name}`: ") == names.count(name), name


def test_what_is_to_be_found_is_there() -> None:
    """Each `file.py`: `name`, `name` of the table defines these names."""
    made = runpy.run_path(str(MAP))
    document = made["DOCUMENT"].read_text(encoding="utf-8")
    table = document.partition("## Where to find it")[2].partition("\n## ")[0]
    places = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", table)
    assert len(places) > 15
    for file, names in places:
        tree = ast.parse((made["SOURCE"] / file).read_text(encoding="utf-8"))
        defined = {getattr(node, "name", getattr(node, "id", "")) for node in ast.walk(tree)}
        assert {*re.findall(r"\w+", names)} <= defined, (file, names)
