"""Documents, first docstring lines and help texts use the field's terms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "litepose"
# Records of the past, whose wording is theirs.
LEFT_OUT = ("training-log.md", "from-the-notebook.md", "fidelity.md", "CHANGELOG.md")
RETIRED = {  # regular expression -> the words to use instead
    r"films?|moving pictures?|footage": "video",
    r"pictures?": "image, annotated image or output image",
    r"look(s|ed|ing)?": "view, forward pass, flip test, run on, or check",
    r"(data|teacher|model's|own|kept|its) answers?": "teacher maps, pseudo-labels",
    r"alike": "similar, similarity, equally",
    r"nobody|somebody": "no person, a person, unlabeled",
    r"whom": "a sentence with the subject first",
    r"anew": "again, reinitialized, recomputed",
    r"ghosts?": "false positive",
    r"judg(e|es|ed|ing|ment|ments)": "evaluate, evaluation",
    r"ledgers?": "reported results",
    r"taken up": "resumed",
    r"lies in": "is in",
}
ALLOWED = ("look up", "looks up", "looked up", "look-up", "lookup", ".ledger.json.gz")
PATTERNS = [(re.compile(rf"\b({words})\b", re.IGNORECASE), say) for words, say in RETIRED.items()]
HELP = ("help", "description", "epilog", "title")
HAS_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def findings(where: str, text: str) -> list[str]:
    """`file:line: 'word': say ...` for each retired word of a line."""
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    return [
        f"{where}: {match[0]!r}: say {say}" for p, say in PATTERNS for match in p.finditer(text)
    ]


def documents() -> list[Path]:
    named = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*named, *(p for p in sorted(ROOT.glob("docs/**/*.md")) if p.name not in LEFT_OUT)]


def first_lines_and_help(source: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of each first docstring line and each text for argparse."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, HAS_DOCSTRING) and (docstring := ast.get_docstring(node)):
            yield node.body[0].lineno, docstring.splitlines()[0]
        if isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg in HELP]
            if getattr(node.func, "attr", "") == "add_argument_group":
                given += node.args
            for part in (part for value in given for part in ast.walk(value)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_documents(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    name = path.relative_to(ROOT)
    found = [f for i, line in enumerate(lines, 1) for f in findings(f"{name}:{i}", line)]
    assert not found, "\n".join(found)


def test_first_docstring_lines_and_help() -> None:
    found = [
        finding
        for path in sorted(SRC.rglob("*.py"))
        for line, text in first_lines_and_help(path.read_text(encoding="utf-8"))
        for finding in findings(f"{path.relative_to(ROOT)}:{line}", text)
    ]
    assert not found, "\n".join(found)


def test_a_retired_word_is_named_with_its_replacement() -> None:
    assert findings("a.md:3", "Two pictures of the film") == [
        "a.md:3: 'film': say video",
        "a.md:3: 'pictures': say image, annotated image or output image",
    ]
    assert findings("a.md:3", "Look it up? A look-up; we looked up a name.") == [
        "a.md:3: 'Look': say view, forward pass, flip test, run on, or check"
    ]
    source = '"""A film."""\nparser.add_argument("--n", help=f"a {x} ghost")\n'
    assert [line for line, _ in first_lines_and_help(source)] == [1, 2, 2]
