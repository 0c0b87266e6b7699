"""The page as a static folder that finds people in the browser: `litepose export --format web`."""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.model_info import ModelInfo
from litepose.core.read_text import parse_json, read_json

PACKAGE = "onnxruntime-web"
WANTED = "1.30"
KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".gz": "application/octet-stream",  # the page unpacks it
    ".onnx": "application/octet-stream",
}
SETTINGS, WORKER = "settings.json", "sw.js"
# What runs the network -> its script, the script that it loads, and its WebAssembly.
RUNTIMES = {
    "wasm": ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    "webgpu": (
        "ort.webgpu.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ),
}


def static_files() -> dict[str, bytes]:
    """The page's own files by name, without the service worker."""
    folder = files("litepose.apps.web") / "static"
    return {
        item.name: item.read_bytes()
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if Path(item.name).suffix in KINDS and item.name != WORKER
    }


def write_folder(model: str, runtime: Path | None, target: Path) -> dict[str, Any]:
    """Write the page, onnxruntime-web, the model and the settings to the folder `target`.

    model: name, .onnx file, checkpoint or official file; runtime: the unpacked npm package.
    Gives `files` and `download_mb`, by what runs the network. An earlier export is overwritten.
    Raises LitePoseError where something is missing, or `target` holds something else.
    """
    parts = runtime_files(runtime)
    check_folder(target)
    content, info = model_file(model)
    name = f"{info.name}.onnx"
    page = static_files()
    large = {f"{part}.gz" for part in parts if part.endswith(".wasm")} | {name}
    written: dict[str, bytes] = {**page, name: content}
    for part, data in parts.items():
        packed = part.endswith(".wasm")  # servers rarely pack it, and it shrinks to a fourth
        written[f"{part}.gz" if packed else part] = (
            gzip.compress(data, 9, mtime=0) if packed else data
        )
    version = "litepose-" + _digest(written, info)
    own = parse_json(info.to_json(), "settings")
    settings = {
        "version": version,
        "model": {
            "file": name,
            "bytes": len(content),
            "info": own,
        },
        "runtimes": {
            kind: {
                "script": script,
                "glue": glue,
                "binary": f"{binary}.gz",
                "bytes": len(written[f"{binary}.gz"]),
            }
            for kind, (script, glue, binary) in RUNTIMES.items()
        },
    }
    written[SETTINGS] = json.dumps(settings).encode()
    kept = ["./", *sorted(set(written) - large)]
    written[WORKER] = _worker(version, kept)  # last: browsers take the new files when it changes
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LitePoseError(f"cannot make the folder {target}: {exc.strerror}") from None
    for file, data in written.items():
        write_atomically(target / file, data)
    small = sum(len(data) for file, data in page.items())
    return {
        "files": sorted(written),
        "download_mb": {
            kind: round(
                (small + len(content) + sum(len(written[_sent(f)]) for f in three)) / 1e6, 1
            )
            for kind, three in RUNTIMES.items()
        },
    }


def _sent(name: str) -> str:
    return f"{name}.gz" if name.endswith(".wasm") else name


def _digest(written: Mapping[str, bytes], info: ModelInfo) -> str:
    digest = hashlib.sha256(info.to_json().encode())
    for name in sorted(written):
        digest.update(name.encode() + b"\0" + hashlib.sha256(written[name]).digest())
    return digest.hexdigest()[:12]


def _worker(version: str, kept: list[str]) -> bytes:
    text = (files("litepose.apps.web") / "static" / WORKER).read_text("utf-8")
    return text.replace("'@VERSION@'", json.dumps(version)).replace(
        "'@FILES@'", json.dumps(kept)
    ).encode()  # fmt: skip


def runtime_files(package: Path | None) -> dict[str, bytes]:
    """The files of onnxruntime-web that the page needs. Raises LitePoseError if one is missing."""
    get = f"`npm install {PACKAGE}@{WANTED}`, then --runtime node_modules/{PACKAGE}"
    if package is None:
        raise LitePoseError(f"the format web needs the npm package {PACKAGE}: {get}")
    try:
        about = read_json(package / "package.json", "the package's description")
        names = [name for three in RUNTIMES.values() for name in three]
        found = {name: (package / "dist" / name).read_bytes() for name in names}
    except (OSError, LitePoseError) as exc:
        raise LitePoseError(
            f"{package} is not the unpacked npm package {PACKAGE} ({exc}): {get}"
        ) from None
    name = about.get("name") if isinstance(about, dict) else None
    if name != PACKAGE:
        raise LitePoseError(f"{package} is the npm package {name!r}, not {PACKAGE}: {get}")
    return found


def model_file(model: str) -> tuple[bytes, ModelInfo]:
    """An ONNX file of the model, for any input size, and its settings; made of a checkpoint."""
    from litepose.inference.onnxruntime_backend import OnnxBackend
    from litepose.models.model_file import resolve_model

    found = resolve_model(model, (".onnx",))
    if found.path.suffix == ".onnx":
        backend = OnnxBackend(found)
        if backend.fixed_wh is not None:
            w, h = backend.fixed_wh
            raise LitePoseError(
                f"{found.path} has one input size, {w}x{h}; the page needs a model for any: export"
                " it again without --size"
            )
        return found.path.read_bytes(), backend.info
    from litepose.export.export import ExportRequest, export_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_model(ExportRequest(model=model, format="onnx", target=path, half=True))
        return model_file(str(path))


def check_folder(target: Path) -> None:
    """Raise LitePoseError where `target` is there and is no earlier export."""
    if target.is_dir() and any(target.iterdir()) and not (target / SETTINGS).is_file():
        raise LitePoseError(f"{target} holds other files; name a new folder with --output")
    if target.exists() and not target.is_dir():
        raise LitePoseError(f"{target} is a file; name a folder with --output")


def read_folder(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files of an exported folder by name, and its settings. Raises LitePoseError for another."""
    try:
        settings = parse_json((folder / SETTINGS).read_text("utf-8"), f"{folder / SETTINGS}")
        found = {
            p.name: p.read_bytes() for p in folder.iterdir() if p.suffix in KINDS and p.is_file()
        }
    except (OSError, ValueError) as exc:
        raise LitePoseError(
            f"{folder} is no folder of `litepose export --format web`: {exc}"
        ) from None
    whole = isinstance(settings, dict) and {"model", "version"} <= settings.keys()
    if not whole or not {"index.html", WORKER} <= found.keys():
        raise LitePoseError(f"{folder} is no whole folder of `litepose export --format web`")
    return found, settings
