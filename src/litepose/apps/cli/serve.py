"""`litepose serve`: a page and an HTTP API on this machine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litepose.apps.cli.parser import number, whole
from litepose.core.console import say
from litepose.core.errors import LitePoseError
from litepose.core.packages import need

if TYPE_CHECKING:
    from litepose.imaging.read import ReadLimits
    from litepose.inference.predictor import Predictor

TOKEN_VARIABLE = "LITEPOSE_TOKEN"  # where a token is not to be seen among the processes
LOCAL = ("127.0.0.1", "::1", "localhost")


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "serve",
        help="a page and an HTTP API on this machine",
        description=(
            "Serves a page at / (drop an image, or use the camera) and POST /v1/poses. Listens on"
            " this machine only unless --host says otherwise; then a token is needed. Ctrl-C"
            " finishes what was taken."
        ),
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=whole(0, 65535), default=8000, help="default: %(default)s")
    parser.add_argument("--token", help="that requests must bring: Authorization: Bearer TOKEN")
    parser.add_argument(
        "--no-token", action="store_true", help="anyone who reaches the host may use it"
    )
    parser.add_argument(
        "--queue",
        type=whole(0, 10_000),
        default=16,
        help="images that may wait; the next are answered 429 (default: %(default)s)",
    )
    parser.add_argument(
        "--max-mb", type=number(0.001, 1000), default=20.0, help="largest body (default: 20)"
    )
    parser.add_argument(
        "--allow-urls",
        action="store_true",
        help="fetch images from public addresses of the web: POST /v1/poses?url=https://...",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="FILE",
        help="offer this model too, by its name without suffix: POST /v1/poses?model=NAME",
    )
    parser.add_argument(
        "--web",
        type=Path,
        metavar="DIR",
        help="a folder of `litepose export --format web`: the page finds people in the browser too",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need(
        "litepose serve",
        "fastapi",
        "uvicorn",
        "python_multipart",
        "prometheus_client",
        extra="serve",
    )
    token = options.token or os.environ.get(TOKEN_VARIABLE)
    if options.host not in LOCAL and not token and not options.no_token:
        raise LitePoseError(
            f"on {options.host} others can reach this server: give --token (or {TOKEN_VARIABLE}),"
            " or --no-token to let everyone use it"
        )
    from litepose.apps.web.listen import listen, open_port
    from litepose.apps.web.models import Models
    from litepose.apps.web.server import ServerSettings, make_app

    most = int(options.max_mb * 1e6)
    settings = ServerSettings(
        most, options.queue, token=token, urls=options.allow_urls, web=options.web
    )
    own = _own_models(options.model, settings.limits)
    app = make_app(settings, Models(settings.limits, own=own))
    listener = open_port(options.host, options.port)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    say(f"http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)")
    if options.host not in LOCAL:
        say("browsers give the page a camera over HTTPS only: put a proxy with TLS before it")
    listen(app, listener)
    return 0


def _own_models(files: list[str], limits: ReadLimits) -> dict[str, Predictor]:
    """Opened models by name. Raises LitePoseError where one cannot be opened or names repeat."""
    from litepose.inference.load import open_predictor

    own: dict[str, Predictor] = {}
    for file in files:
        name = Path(file).name.split(".")[0]
        if name in own:
            raise LitePoseError(f"two models are called {name}: rename one of the files")
        own[name] = open_predictor(file, limits=limits)
    return own
