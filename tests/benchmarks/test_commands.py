"""The command in each script's docstring starts it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def commands() -> list[str]:
    """The first command of each docstring, without its options."""
    found = []
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        lines = [line.split() for line in text.splitlines() if line.startswith("    python")]
        if lines:
            module = lines[0][1] == "-m"
            found.append(" ".join(lines[0][1 : 3 if module else 2]))
            assert path.stem in found[-1], f"{path} names another script"
    return found


def test_most_scripts_say_how_they_are_started() -> None:
    scripts = [p for p in (ROOT / "benchmarks").glob("*.py") if "__main__" in p.read_text()]
    assert len(commands()) == len(scripts) > 15


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_it_starts(command: str) -> None:
    words = [sys.executable, *command.split(), "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "--" in done.stdout, done.stderr
