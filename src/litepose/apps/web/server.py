"""HTTP API and page: images in, people as JSON or drawn.

Up to `queue` images wait, the next are told to come back (work.py). Bodies are read up to a limit
and within a time, whatever their headers promise.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException

from litepose.apps.web.body import Bodies, Fetches, RefusedError
from litepose.apps.web.folder import KINDS, SETTINGS, WORKER, read_folder, static_files
from litepose.apps.web.models import Models
from litepose.apps.web.openapi import POSES, RESPONSES
from litepose.apps.web.overlays import overlays_of
from litepose.apps.web.parameters import Parameters, read_parameters
from litepose.apps.web.work import Work
from litepose.core.console import say
from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.imaging.draw import draw_poses
from litepose.imaging.read import ReadLimits, read_image
from litepose.imaging.write import encode_image
from litepose.inference.predictor import Predictor, divided, options_for

DRAWN_FROM = 0.2  # keypoints scoring below are not drawn, as `litepose.draw` does
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"
        " connect-src 'self'; img-src 'self' blob: data:; media-src blob:; worker-src 'self' blob:;"
        " manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Cross-origin isolated, so that WebAssembly may use threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class ServerSettings:
    """max_bytes: of a body, or of what a URL gives; queue: images that may wait; body_seconds: to
    send a body in; token: bearer token that /v1 asks for, None asks for none; limits: of reading
    images; urls: whether images are fetched from the web; web: folder of `litepose export --format
    web`, whose page finds people in the browser as well"""

    max_bytes: int = 20_000_000
    queue: int = 16
    body_seconds: float = 30.0
    token: str | None = None
    limits: ReadLimits = field(default_factory=lambda: ReadLimits(max_pixels=50_000_000))
    urls: bool = False
    web: Path | None = None

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.queue < 0 or not self.body_seconds > 0:
            raise LitePoseError(f"a server needs limits above 0; got {self}")
        if self.token is not None and not re.fullmatch(r"[!-~][ -~]{6,}[!-~]", self.token):
            raise LitePoseError(
                "a token has 8 characters or more: letters, digits and signs of ASCII"
            )


def make_app(
    settings: ServerSettings,
    models: Models | None = None,
    divide: Callable[[Any], tuple[Any, int]] = divided,
) -> FastAPI:
    """The application. models: None offers those of the package; divide: see `Work`."""
    registry = CollectorRegistry()
    requests = Counter("litepose_requests", "By status.", ["status"], registry=registry)
    seconds = Histogram("litepose_seconds", "Of a prediction.", registry=registry)
    models = models or Models(settings.limits)
    waiting = Gauge("litepose_waiting", "Images in work.", registry=registry)
    work = Work(models, settings.queue, waiting, divide)
    bodies = Bodies(
        settings.max_bytes, settings.body_seconds, (settings.queue + 1) * settings.max_bytes
    )
    fetches = Fetches(settings.max_bytes, settings.urls)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        models.open_default()
        yield
        work.close()  # what was taken is finished

    app = FastAPI(title="litepose", docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            if request.url.path.startswith(("/v1/", "/metrics")):
                _check_token(request, settings.token)
            response = await go_on(request)
        except RefusedError as refused:
            response = await refuse(request, refused)
        except Exception as exc:  # a mistake of ours: the others are served on
            say(f"500 on {request.url.path}: {type(exc).__name__}: {' '.join(str(exc).split())}")
            response = JSONResponse({"error": "the server made a mistake; its log has it"}, 500)
        requests.labels(str(response.status_code)).inc()
        response.headers.update(_HEADERS)
        return response

    @app.exception_handler(RefusedError)
    async def refuse(_: Request, refused: RefusedError) -> Response:
        return JSONResponse({"error": str(refused)}, refused.status, headers=refused.headers)

    @app.exception_handler(HTTPException)
    async def refuse_path(_: Request, wrong: HTTPException) -> Response:
        return JSONResponse({"error": f"{wrong.detail}"}, wrong.status_code, headers=wrong.headers)

    @app.post("/v1/poses", openapi_extra=POSES, responses=RESPONSES)
    async def poses(request: Request) -> Response:
        """People of the image in the body, in the form field `file`, or at `url`."""
        how = read_parameters(request.query_params, models)
        work.check_room()  # before the body is read: who is refused should learn it at once
        if how.url is None:
            content = await bodies.image(request)
        else:
            content = await fetches.image(how.url)
        start = time.perf_counter()

        def predict(model: Predictor) -> Response:
            return _predicted(model, content, how, settings.limits)

        try:
            response: Response = await work.run(how.model, predict)
        except LitePoseError as exc:
            raise RefusedError(422, str(exc)) from None
        seconds.observe(time.perf_counter() - start)
        return response

    @app.get("/v1/models")
    def list_models() -> dict[str, Any]:
        """Efforts and the model of each; models with what they find, their input and license."""
        return models.to_dict()

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        """Whether the default model can be used."""
        if models.trouble is not None:
            raise RefusedError(503, models.trouble)
        return {"status": "ok"}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    for path, (content, kind) in page_files(settings.web).items():
        app.get(path, include_in_schema=False)(_page(content, kind))
    return app


def page_files(web: Path | None) -> dict[str, tuple[bytes, str]]:
    """Path -> content and type of what the page consists of; its settings name this server."""
    found, about = (static_files(), {}) if web is None else read_folder(web)
    if web is not None:
        # Not the version of the bare folder: a browser may keep its settings of the same address.
        bare, about["version"] = about["version"], about["version"] + "-served"
        found[WORKER] = found[WORKER].replace(bare.encode(), about["version"].encode())
    about = {**about, "server": {"skeleton": COCO17.to_dict()}}
    found[SETTINGS] = json.dumps(about).encode()
    paths = {f"/{name}": (content, KINDS[Path(name).suffix]) for name, content in found.items()}
    return {"/": paths["/index.html"], **paths}


def _page(content: bytes, kind: str) -> Callable[[], Response]:
    def page() -> Response:
        return Response(content, media_type=kind)

    return page


def _check_token(request: Request, token: str | None) -> None:
    if token is None:
        return
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise RefusedError(401, "this server asks for its token: Authorization: Bearer TOKEN")


def _predicted(model: Predictor, content: bytes, how: Parameters, limits: ReadLimits) -> Response:
    if how.overlays:
        options = options_for(model, threshold=how.threshold, flip_test=how.flip_test)
        found, views, *_ = model.inspect(content, options)
        return JSONResponse({**found.to_dict(), "overlays": overlays_of(views[0])})
    found = model.predict(content, threshold=how.threshold, flip_test=how.flip_test)
    if how.format == "json":
        return JSONResponse(found.to_dict())
    drawn = draw_poses(read_image(content, limits), found, threshold=DRAWN_FROM)
    return Response(encode_image(drawn, ".jpg"), media_type="image/jpeg")
