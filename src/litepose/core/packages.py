"""Optional packages: name the command that installs a missing one."""

from __future__ import annotations

from importlib.util import find_spec

from litepose.core.errors import LitePoseError


def missing(packages: tuple[str, ...]) -> list[str]:
    """The packages that are not installed. Imports nothing."""
    return [name for name in packages if find_spec(name) is None]


def need(what: str, *packages: str, extra: str = "") -> None:
    """Raise LitePoseError with the install command if a package is missing.

    what: subject of the sentence, such as "this command"; extra: the extra of litepose to install
    """
    absent = missing(packages)
    if absent:
        command = f"'litepose[{extra}]'" if extra else " ".join(absent)
        raise LitePoseError(
            f"{what} needs {', '.join(absent)}, not installed here: pip install {command}"
        )
