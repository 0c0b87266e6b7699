"""`litepose VERB ...`: parse, call one function, print. Results on stdout, all else on stderr.

A verb is a module of this folder with `add_parser(verbs)`. Heavy imports are inside the functions
that need them, so that start-up stays quick.
Exit codes: 0 done, 1 some inputs failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from litepose import __version__
from litepose.apps.cli import (
    bench,
    convert,
    cost,
    data,
    doctor,
    evaluate,
    export,
    models,
    predict,
    search,
    serve,
    train,
    verify,
)
from litepose.apps.cli import map as map_verb
from litepose.apps.cli.parser import Parser
from litepose.apps.cli.stopping import sigterm_as_ctrl_c
from litepose.core.console import open_missing_streams, say
from litepose.core.errors import LitePoseError

VERBS = (
    predict, map_verb, serve, evaluate, bench, cost, models, convert, export, train, search, data,
    verify, doctor,
)  # fmt: skip


def build_parser() -> Parser:
    parser = Parser(
        prog="litepose",
        description="Finds every person in an image and their keypoints, on an ordinary CPU.",
    )
    parser.add_argument("--version", action="version", version=f"litepose {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    open_missing_streams()
    parser = build_parser()
    options = parser.parse(arguments)
    if options.verb is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        with sigterm_as_ctrl_c():
            code = int(options.run(options))
        print(end="", flush=True)  # a failed write raises here, not when Python exits
        return code
    except LitePoseError as exc:
        say(f"litepose {options.verb}: {exc}")
        return 2
    except KeyboardInterrupt:
        say(f"\nlitepose {options.verb}: interrupted")
        return 130
    except BrokenPipeError:  # the reader of the output has closed it, like `| head`
        _give_up_stdout()
        return 0
    except OSError as exc:  # such as results on a full disk
        _give_up_stdout()
        say(f"litepose {options.verb}: reading or writing failed: {exc}")
        return 1


def _give_up_stdout() -> None:
    """Close stdout, or Python would try to write the rest at exit and report another error."""
    with contextlib.suppress(OSError, ValueError):  # a stream of another kind, or a closed one
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
