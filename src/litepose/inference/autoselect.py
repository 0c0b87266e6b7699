"""`backend="auto"`: measure once which runtime and thread count is fastest here.

The choice is stored per model file, machine and versions in the user's cache folder. If the cache
cannot be read or written, the measurement is repeated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import letterbox
from litepose.core.read_text import SETTINGS_BYTES, read_json
from litepose.core.temporary import write_whole
from litepose.core.timing import low, run_seconds
from litepose.inference.backend import DEFAULTS, Backend, RuntimeOptions
from litepose.inference.open import installed_backends, open_backend
from litepose.inference.system import BackgroundLoad, cache_folder, cpu_name, usable_cores
from litepose.models.model_file import resolve_model

_REMEMBERED = 64  # choices kept, newest first
_PATIENCE_S = 0.5  # seconds for each candidate, after its warm-up
_RUNS = (4, 30)  # fewest and most runs
_BUSY = 0.2  # share of cores used by other programs above which a choice is not stored
_MARGIN = 0.95  # another runtime must be this much faster, because it starts more slowly


@dataclass(frozen=True)
class Choice:
    """backend, options: for `open_backend`; measured_ms: of each candidate, such as
    {"onnxruntime 2": 20.4}, empty with a single candidate;
    busy: other programs used the cores during the measurement, so it was not stored."""

    backend: str
    options: RuntimeOptions
    measured_ms: Mapping[str, float]
    remembered: bool
    busy: bool = False

    def __str__(self) -> str:
        threads = self.options.cores
        text = f"backend {self.backend}, {threads} thread{'s' if threads > 1 else ''}"
        if not self.measured_ms:
            return f"{text}: nothing else here runs this model"
        found = ", ".join(f"{name}: {ms:.1f} ms" for name, ms in self.measured_ms.items())
        when = "measured before" if self.remembered else "measured now"
        note = "; the machine is busy with other programs: not remembered" if self.busy else ""
        return f"{text} ({when}; {found}{note})"


def choose(
    model: str | os.PathLike[str] | None = None,
    options: RuntimeOptions = DEFAULTS,
    input_size: int | None = None,
) -> Choice:
    """The fastest backend and thread count for a model at its input size, or at `input_size`.

    options: threads other than 0 are kept; providers, device and precision restrict the choice to
    backends that support them. Raises LitePoseError if no backend here can run the model.
    """
    candidates = _candidates(model, options)
    if len(candidates) == 1:
        return Choice(*candidates[0], measured_ms={}, remembered=False)
    key, memory = _key(model, options, input_size), _recall()
    known = memory.pop(key, {})
    new = [candidate for candidate in candidates if _label(*candidate) not in known]
    busy = False
    if new:
        others = BackgroundLoad()
        known = known | _measure(model, new, input_size)
        busy = (others.share() or 0) > _BUSY
        if not busy:
            _remember({key: known} | memory)
    measured = {_label(*candidate): known[_label(*candidate)] for candidate in candidates}
    backend, chosen = _best(candidates, measured)
    return Choice(backend, chosen, measured, remembered=not new, busy=busy)


def measure_ms(backend: Backend, input_wh: tuple[int, int]) -> float:
    """Milliseconds of one forward pass: the 20th percentile, which other programs change little.

    Two warm-up runs are not counted."""
    images = np.random.default_rng(0).normal(0, 1, (1, 3, *input_wh[::-1])).astype(np.float32)
    least, most = _RUNS
    times = run_seconds(
        lambda: backend.run(images), most, warmup=2, at_least=least, patience_s=_PATIENCE_S
    )
    return low(times) * 1e3


def _candidates(
    model: str | os.PathLike[str] | None, options: RuntimeOptions
) -> list[tuple[str, RuntimeOptions]]:
    names = installed_backends(model)
    if options.providers != DEFAULTS.providers:
        names = [name for name in names if name == "onnxruntime"]
    if options.device != DEFAULTS.device:
        names = [name for name in names if name in ("torch", "openvino")]
    if options.precision != DEFAULTS.precision:
        names = [name for name in names if name == "openvino"]
    if not names:  # opening the default backend reports what is missing
        open_backend(model, None, options)
        raise LitePoseError("no backend here can run this model with these options")
    cores = usable_cores()
    # A small network is often faster on fewer cores, because threads wait for each other.
    counts = [options.threads] if options.threads else sorted({cores, max(1, cores // 2)})[::-1]
    return [(name, replace(options, threads=n)) for name in names for n in counts]


def _measure(
    model: str | os.PathLike[str] | None,
    candidates: list[tuple[str, RuntimeOptions]],
    input_size: int | None,
) -> dict[str, float]:
    measured = {}
    for name, options in candidates:
        backend = open_backend(model, name, options)
        rule = backend.info.input
        sizes = (input_size,) if input_size else rule.views or (rule.size,)
        shapes = [letterbox((640, 480), size, rule.multiple).input_wh for size in sizes]
        if backend.fixed_wh:
            shapes = [backend.fixed_wh]
        measured[_label(name, options)] = round(sum(measure_ms(backend, wh) for wh in shapes), 2)
    return measured


def _best(
    candidates: list[tuple[str, RuntimeOptions]], measured: Mapping[str, float]
) -> tuple[str, RuntimeOptions]:
    usual = candidates[0][0]
    return min(
        candidates,
        key=lambda one: measured[_label(*one)] * (_MARGIN if one[0] == usual else 1),
    )


def _label(name: str, options: RuntimeOptions) -> str:
    return f"{name} {options.threads}"


def _key(
    model: str | os.PathLike[str] | None, options: RuntimeOptions, input_size: int | None
) -> str:
    packages = []
    for package in ("onnxruntime", "openvino", "torch"):
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    facts = [resolve_model(model).sha256[:16], cpu_name(), f"{usable_cores()} cores", *packages]
    facts += [*options.providers, options.device, options.precision, f"size {input_size}"]
    return ", ".join(facts)


def _cache_file() -> Path:
    return cache_folder() / "backends.json"


def _recall() -> dict[str, dict[str, float]]:
    try:
        data = read_json(_cache_file(), "the choices", SETTINGS_BYTES)
        return {
            str(key): {str(name): float(ms) for name, ms in times.items()}
            for key, times in data.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError):  # no home, invalid JSON
        return {}


def _remember(memory: Mapping[str, Mapping[str, float]]) -> None:
    newest = dict(list(memory.items())[:_REMEMBERED])
    try:
        path = _cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole({path: json.dumps(newest, indent=1).encode()})
    except (OSError, RuntimeError):
        return
