"""One guarded reader of JSON and TOML: what it refuses, and that nothing reads past it."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.core.read_text import MOST_NESTED, parse_json, parse_toml, read_json, read_toml

SRC = Path(__file__).resolve().parents[2] / "src" / "litepose"
DEEP = "[" * 100_000
HIDDEN = '{"a": ' * 300 + "1" + "}" * 300  # Python's parser takes it


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (DEEP, "nested more than 64"),
        (HIDDEN, "nested more than 64"),
        ("9" * 5000, "thousands of digits"),
        ("[[9" + "9" * 40 + "]]", "more than 64 bits"),
        ('{"a": ', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (None, "is not JSON"),
        ("", "is not JSON"),
    ],
)
def test_json_that_is_refused(text, says: str) -> None:
    with pytest.raises(LitePoseError, match=says):
        parse_json(text, "it")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = " + DEEP, "nested more than 64"),
        (".".join("a" * 300) + " = 1", "nested more than 64"),
        ("a = " + "9" * 5000, "thousands of digits"),
        ("a = 1e", "not TOML"),
    ],
)
def test_toml_that_is_refused(text: str, says: str) -> None:
    with pytest.raises(LitePoseError, match=says):
        parse_toml(text, "it")


def test_what_is_allowed_comes_through() -> None:
    nested = "[" * (MOST_NESTED - 1) + "]" * (MOST_NESTED - 1)
    assert str(parse_json(nested, "it")) == nested
    assert parse_json(f"[{2**64 - 1}, -1.5, null]", "it") == [2**64 - 1, -1.5, None]
    assert parse_toml("a.b = 1", "it") == {"a": {"b": 1}}


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zeros.json").symlink_to("/dev/zero")
    (tmp_path / "large.json").write_text("[1, 2, 3]")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    for name, says in (
        ("pipe.json", "not a regular file"), ("zeros.json", "not a regular file"),
        (".", "is a folder"), ("none.json", "No such file"), ("a\0b", "null"),
        ("large.json", "more than the limit of 8"), ("x" * 300, "too long"),
    ):  # fmt: skip
        with pytest.raises(LitePoseError, match=says):
            read_json(tmp_path / name, "the file", 8)
    with pytest.raises(LitePoseError, match="not TOML"):
        read_toml(tmp_path / "latin.toml", "the file")


@pytest.mark.parametrize("read", [ModelInfo.from_json, Poses.from_json])
@pytest.mark.parametrize("text", [DEEP, HIDDEN, "9" * 5000, '{"schema": 9' + "9" * 50 + "}"])
def test_records_are_read_through_it(read, text: str) -> None:
    with pytest.raises(LitePoseError):
        read(text)


def test_nothing_parses_past_the_reader() -> None:
    """What is not a file, a copy through JSON, stays where it is."""
    own = {
        "core/read_text.py",
        "models/arch.py",
        "models/checkpoint.py",
        "evaluation/evaluator.py",
    }
    found = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            reads = isinstance(node, ast.Attribute) and node.attr in ("loads", "load")
            if reads and getattr(node.value, "id", "") in ("json", "tomllib"):
                found.add(path.relative_to(SRC).as_posix())
    assert found == own


@pytest.mark.timeout(60)
def test_other_readers_do_not_hang_on_a_pipe_either(tmp_path: Path) -> None:
    from litepose.data.packed import PackedDataset
    from litepose.evaluation.reported_results import read_result

    for name in ("x.lpc", "x.ledger.json.gz"):
        os.mkfifo(tmp_path / name)
    for read in (
        lambda: PackedDataset(tmp_path / "x.lpc"),
        lambda: read_result(tmp_path / "x.ledger.json.gz"),
    ):
        with pytest.raises(LitePoseError, match="not a regular file"):
            read()
