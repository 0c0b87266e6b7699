"""Optional packages: one sentence that says how to install what is missing."""

from __future__ import annotations

from importlib.util import find_spec

from litepose.core.errors import LitePoseError


def missing(packages: tuple[str, ...]) -> list[str]:
    """Those of the packages that are not installed; nothing is imported."""
    return [name for name in packages if find_spec(name) is None]


def need(what: str, *packages: str, extra: str = "") -> None:
    """Raise LitePoseError, with the command that installs it, where a package is not installed.

    what: needs the packages, as the subject of the sentence; extra: of litepose that brings them.
    """
    absent = missing(packages)
    if absent:
        command = f"'litepose[{extra}]'" if extra else " ".join(absent)
        raise LitePoseError(
            f"{what} needs {', '.join(absent)}, not installed here: pip install {command}"
        )
