"""Write the map of files in docs/architecture.md: one phrase a file, its first docstring line.

python docs/file_map.py
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, DOCUMENT = ROOT / "src/litepose", ROOT / "docs/architecture.md"
BEGIN, END = "<!-- files: python docs/file_map.py -->\n", "<!-- end of files -->"


def file_map() -> str:
    """The lines between the two marks: a list of files for each folder."""
    lines = []
    for folder in sorted({path.parent for path in SOURCE.rglob("*.py")}):
        rows = [
            f"- `{path.name}`: {_phrase(path)}"
            for path in sorted(folder.glob("*.py"))
            if path.name != "__init__.py"
        ]
        if rows:
            name = folder.relative_to(SOURCE).as_posix()
            lines += [f"\n### {'litepose/' if name == '.' else name + '/'}\n", *rows]
    return "\n".join(lines) + "\n\n"


def _phrase(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not text:
        raise SystemExit(f"{path} has no docstring: its first line belongs on the map")
    return text.splitlines()[0].removesuffix(".")


def with_map(document: str) -> str:
    """The document with today's map in it."""
    before, _, rest = document.partition(BEGIN)
    return before + BEGIN + file_map() + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(with_map(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
