"""Names of files and addresses, judged before anything is done with them.

Source: our own.
"""

from __future__ import annotations

from pathlib import Path

from litepose.core.errors import LitePoseError


def name_for_c(name: str | Path) -> str:
    """The name as text that a C library takes. Raises LitePoseError where it is no UTF-8.

    Python keeps odd bytes of a name as surrogates; handed to OpenCV they end the process.
    """
    text = str(name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LitePoseError(
            f"the name {text!a} is not UTF-8, which OpenCV and the runtimes need: rename the"
            " file, or the folder it is in"
        ) from None
    return text
