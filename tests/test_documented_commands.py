"""Commands in the documents, comments of configurations and docstrings are ones that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from litepose.apps.cli.main import build_parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "weights").glob("*.md"),
    *(ROOT / "configs").glob("*.toml"),
    *(ROOT / "benchmarks").glob("*.py"),
]
LONGEST = 400  # characters that a command may take


def commands(first_word: str) -> list[tuple[str, str, bool]]:
    """(file, command, whole): lines that begin with `first_word`, and `code` within sentences,
    which may leave words out."""
    found = set()
    for path in DOCUMENTS:
        if path.name == "CHANGELOG.md":  # it also names what is gone
            continue
        text = path.read_text().replace("\\\n", " ")
        lines = re.findall(rf"^[# ]*(?:\.venv/bin/)?({first_word} .+)$", text, re.MULTILINE)
        inline = re.findall(rf"`({first_word} [^`]+)`", text)
        for command, whole in (*((c, True) for c in lines), *((c, False) for c in inline)):
            command = re.split(r"\s+#\s|\s*[|>;]\s|\s&&\s|\s\(", command)[0]
            if len(command) < LONGEST:
                plain = re.sub(r"\s+", " ", command).strip()
                found.add((str(path.relative_to(ROOT)), plain, whole))
    return sorted(found)


def words_of(command: str) -> list[str] | None:
    """The words of a shell command; None for a sentence, or a form with placeholders in it."""
    if re.search(r"\[-|\w\|\w|VERB|\.\.\.|…|[.,:]$", command):
        return None
    try:
        return shlex.split(command)
    except ValueError:  # an apostrophe of a sentence
        return None


def test_commands_of_litepose_parse(capsys) -> None:
    parser, tried, wrong = build_parser(), 0, []
    for file, command, whole in commands("litepose"):
        words = words_of(command)
        if words is None or not re.fullmatch(r"[a-z-]+", words[1]):
            continue
        tried += 1
        try:
            parser.parse(words[1:])
        except SystemExit as exc:
            said = capsys.readouterr().err.strip().splitlines()[-1]
            if exc.code and (whole or not re.search("are required|expected one argument", said)):
                wrong.append(f"{file}: {command}\n{said}")
    assert not wrong, "\n\n".join(wrong)
    assert tried > 100


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (file, word)
        for file, command, _ in commands("make")
        for word in command.split()[1:2]
        if re.fullmatch(r"[a-z-]+", word) and "benchmarks" not in file
    }
    assert len(named) > 10
    assert not [(file, word) for file, word in named if word not in targets]


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "docs"])
def test_scripts_exist(folder: str) -> None:
    named = [
        (path, script)
        for path in DOCUMENTS
        for script in re.findall(rf"python3? ({folder}/[\w/]+\.py)", path.read_text())
    ]
    assert named
    assert not [(path, script) for path, script in named if not (ROOT / script).is_file()]
