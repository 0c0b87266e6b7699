"""Documents, docstrings, messages and help texts use the field's terms."""

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
ALLOWED = (
    *("look up", "looks up", "looked up", "look-up", "lookup", ".ledger.json.gz"),
    "--film-size",  # of 0.1.0, answered with the new name
    *("judged: ", "not judged"),  # keys of reports
    "on pictures of",  # stored in the bundled weights
)
PATTERNS = [(re.compile(rf"\b({words})\b", re.IGNORECASE), say) for words, say in RETIRED.items()]


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


def texts(source: str) -> Iterator[tuple[int, str]]:
    """(line number, line) of each string: docstrings, messages, help texts, parts of f-strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_documents(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    name = path.relative_to(ROOT)
    found = [f for i, line in enumerate(lines, 1) for f in findings(f"{name}:{i}", line)]
    assert not found, "\n".join(found)


def test_docstrings_and_messages() -> None:
    found = [
        finding
        for path in sorted(SRC.rglob("*.py"))
        for line, text in texts(path.read_text(encoding="utf-8"))
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
    source = '"""A film.\n\nOf nobody."""\nraise Error(f"a {x} ghost")\n'
    assert sorted(texts(source)) == [
        *((1, "A film."), (2, ""), (3, "Of nobody.")),
        *((4, " ghost"), (4, "a ")),
    ]
