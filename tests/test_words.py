"""Documents, docstrings, comments, messages, help texts and names use the field's terms."""

from __future__ import annotations

import ast
import io
import re
import tokenize
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
    "not judged",  # a key of reported results
    "on pictures of",  # stored in the bundled weights
)
KEYS = ("judged",)  # of report.json, schema 1
NAMES_RETIRED = RETIRED | {  # in a sentence these words may be right
    r"answer(s|ed)?": "response, result or teacher maps",
    r"everybody": "all people",
    r"asked|taught|told": "what it holds",
    r"crests?|ridges?": "local maxima, row maxima",
}


def compiled(table: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(rf"\b({words})\b", re.IGNORECASE), say) for words, say in table.items()]


PATTERNS, NAME_PATTERNS = compiled(RETIRED), compiled(NAMES_RETIRED)


def findings(
    where: str, text: str, patterns: list[tuple[re.Pattern[str], str]] = PATTERNS
) -> list[str]:
    """`file:line: 'word': say ...` for each retired word of a line."""
    if text in KEYS:
        return []
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    return [
        f"{where}: {match[0]!r}: say {say}" for p, say in patterns for match in p.finditer(text)
    ]


def documents() -> list[Path]:
    named = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*named, *(p for p in sorted(ROOT.glob("docs/**/*.md")) if p.name not in LEFT_OUT)]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """(line number, line) of each string: docstrings, messages, help texts, parts of f-strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """(line number, words) of each name: `PoseFilm` is "Pose Film", `pose_film` "pose film"."""
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name", "asname"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[._]+", " ", name)
                yield getattr(node, "lineno", 0), words


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_documents(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    name = path.relative_to(ROOT)
    found = [f for i, line in enumerate(lines, 1) for f in findings(f"{name}:{i}", line)]
    assert not found, "\n".join(found)


def sources() -> Iterator[tuple[str, str]]:
    """(path, text) of each file of the package."""
    for path in sorted(SRC.rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_no_number_is_left_to_be_filled_in() -> None:
    for path in documents():
        assert not re.search(r"@[A-Z]{3,}", path.read_text(encoding="utf-8")), path


def test_docstrings_comments_and_messages() -> None:
    found = [
        finding
        for name, source in sources()
        for line, text in (*texts(source), *comments(source))
        for finding in findings(f"{name}:{line}", text)
    ]
    assert not found, "\n".join(found)


def test_names() -> None:
    found = [
        finding
        for name, source in sources()
        for line, words in ((0, Path(name).stem.replace("_", " ")), *identifiers(source))
        for finding in findings(f"{name}:{line}", words, NAME_PATTERNS)
    ]
    assert not found, "\n".join(dict.fromkeys(found))


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
    source = (
        "class FilmMaker:  # looks\n    def take_up(self, ghosts): self.old_ledger = pictures\n"
    )
    assert list(comments(source)) == [(1, "# looks")]
    assert sorted(identifiers(source)) == [
        *((1, "Film Maker"), (2, "ghosts"), (2, "old ledger"), (2, "pictures")),
        *((2, "self"), (2, "self"), (2, "take up")),
    ]
    assert findings("a.py:1", "Film Maker", NAME_PATTERNS) == ["a.py:1: 'Film': say video"]
