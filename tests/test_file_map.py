"""The map of files in docs/architecture.md is today's."""

from __future__ import annotations

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
