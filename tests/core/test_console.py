"""Strangers' text is made harmless at the places where it is said and where sentences are made."""

from __future__ import annotations

import io
import pickle
import sys

import pytest

from litepose.core.console import is_terminal, plain, plain_lines, say, tell
from litepose.core.errors import LitePoseError
from litepose.data.datasets import UnreadableImageError

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("photo é 写真 👩‍🚀.jpg", "photo é 写真 👩‍🚀.jpg"),
        (f"{RED}a\x07\r\n\t\x00\x7f", r"\x1b[31ma\x07\r\n\t\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),  # the same, begun by one character
        ("a\u202egpj.exe", r"a\u202egpj.exe"),  # turns the direction of what follows
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("f\udcff.webm", r"f\udcff.webm"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown
    assert plain(shown) == shown


def test_long_text_keeps_its_ends() -> None:
    cut = plain("a" * 700 + "x" * 1_000_000 + "z" * 700)
    assert cut.startswith("aaaa") and cut.endswith("zzzz")
    assert "(1,000,440 characters)" in cut and len(cut) <= 1000 and plain(cut) == cut
    assert len(plain("\x1b" * 999)) <= 1000
    lines = plain_lines("\n" * 10_000)
    assert lines.count("\n") == 400 and lines.endswith("(9,601 more lines)")


@pytest.mark.parametrize("kind", [LitePoseError, UnreadableImageError])
def test_every_sentence_is_plain(kind: type[LitePoseError]) -> None:
    wrong = kind(f"{RED}cannot read {'x' * 9000}")
    assert str(wrong).startswith(r"\x1b[31mcannot") and len(str(wrong)) < 1200
    assert str(pickle.loads(pickle.dumps(wrong))) == str(wrong)


def test_what_is_said_is_plain(capsys) -> None:
    say(f"failed: {RED}")
    tell(f"table {RED}\n  row")
    out, err = capsys.readouterr()
    assert err == "failed: \\x1b[31m\n" and out == "table \\x1b[31m\n  row\n"


def test_what_a_stream_cannot_hold_is_escaped(monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    tell("é")
    stream.flush()
    assert stream.buffer.getvalue() == b"\\xe9\n"  # type: ignore[attr-defined]


def test_streams_may_be_missing_or_closed(monkeypatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        say("unheard")
        assert not is_terminal(stream)
