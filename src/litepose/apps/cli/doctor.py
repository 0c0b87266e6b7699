"""`litepose doctor`: what is installed and whether it works, for bug reports."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from litepose.core.console import tell

PACKAGES = (
    "litepose", "numpy", "opencv-python-headless", "Pillow", "onnxruntime",
    "torch", "safetensors", "scipy", "onnx", "openvino", "faster-coco-eval",
)  # fmt: skip
CPU_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8")


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("doctor", help="versions, CPU, model hashes and a self-test")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    report = {
        "packages": _packages(),
        "machine": _machine(),
        "backends": _backends(),
        "models": _models(),
        "self_test": _self_test(),
    }
    for title, part in report.items():
        tell(f"{title.replace('_', ' ')}:")
        for key, value in part.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            tell(f"  {key:24} {shown}")
    print(json.dumps(report))
    return 0 if report["self_test"]["passed"] else 1


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _machine() -> dict[str, Any]:
    from litepose.inference.system import cpu_name, usable_cores

    features: list[str] = []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        words = next((line.split() for line in lines if line.startswith("flags")), [])
        features = [feature for feature in CPU_FEATURES if feature in words]
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": cpu_name(),
        "cores": os.cpu_count() or 0,
        "usable_cores": usable_cores(),
        "cpu_features": features,
    }


def _backends() -> dict[str, Any]:
    import onnxruntime

    from litepose.inference.open import installed_backends

    return {
        "onnxruntime": onnxruntime.get_available_providers(),
        "for the default model": installed_backends(None),
    }


def _models() -> dict[str, str]:
    from litepose.models import zoo
    from litepose.models.model_file import model_files

    files = [file for name in zoo.MODELS for file in model_files(name)]
    return {file.name + file.path.suffix: f"sha256 {file.sha256}" for file in files}


def _self_test() -> dict[str, Any]:
    """Predict a gray image twice with the default model: no people, equal maps."""
    import numpy as np

    import litepose
    from litepose.core.errors import LitePoseError

    gray = np.full((240, 320, 3), 127, np.uint8)
    try:
        start = time.perf_counter()
        model = litepose.load()
        loaded = time.perf_counter()
        first = model.predict(gray)
        again = time.perf_counter()
        second = model.predict(gray)
        end = time.perf_counter()
    except LitePoseError as exc:
        return {"passed": False, "error": str(exc)}
    return {
        "passed": len(first) == 0 and first.to_json() == second.to_json(),
        "load_ms": round((loaded - start) * 1e3, 1),
        "first_ms": round((again - loaded) * 1e3, 1),
        "next_ms": round((end - again) * 1e3, 1),
    }
