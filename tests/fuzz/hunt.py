"""The hunt: numbered inputs in a process of their own, and what harm they did.

Input i of a seed depends on these two alone, so that one can be repeated: `--first I --count 1`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError

SECONDS = 20.0  # for one input; more is a finding
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Hunt:
    """tried: inputs by kind; read: how many of them were read in spite of it; findings: sentences;
    seconds: of all."""

    tried: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self) -> str:
        lines = [f"{'kind':20} {'tried':>6} {'read':>6}"]
        lines += [f"{k:20} {n:6,} {self.read[k]:6,}" for k, n in sorted(self.tried.items())]
        total = f"{'all':20} {self.tried.total():6,} {self.read.total():6,}"
        return "\n".join([*lines, f"{total}   {self.seconds:.0f} s"])


def hunt(seed: int, numbers: range) -> Hunt:
    """Try these inputs. A process that ends by one is a finding, and the next goes on behind it."""
    found, began, at = Hunt(), time.monotonic(), numbers.start
    while at < numbers.stop:
        at = _in_process(found, seed, range(at, numbers.stop))
    found.seconds = time.monotonic() - began
    return found


def _in_process(found: Hunt, seed: int, numbers: range) -> int:
    """Where the next process goes on."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz", "--worker"]
    command += ["--seed", str(seed), "--first", str(numbers.start), "--count", str(len(numbers))]
    quiet = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8", "OMP_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **quiet}, stdout=subprocess.PIPE, stderr=errors
        ) as worker,
    ):
        assert worker.stdout is not None
        at, kind = numbers.start, "none"
        for line in worker.stdout:
            record = json.loads(line)
            if "begin" in record:
                at, kind = record["begin"], record["kind"]
                found.tried[kind] += 1
                continue
            found.read[kind] += record["read"]
            found.findings += [f"seed {seed}, input {at}, {kind}: {x}" for x in record["harm"]]
        if worker.wait() == 0:
            return numbers.stop
        errors.seek(0)
        said = errors.read()[-1500:].decode("utf-8", "replace")
    found.findings.append(f"seed {seed}, input {at}, {kind}: exit {worker.returncode}: {said}")
    return at + 1


def work(seed: int, numbers: range) -> None:
    """In the process of its own: a line of JSON before each input, and one behind it."""
    import faulthandler

    from tests.fuzz.subjects import SHARES, Subjects

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no line of ours
    names, weights = list(SHARES), [share for _, share in SHARES.values()]
    with tempfile.TemporaryDirectory() as good:
        subjects = Subjects(Path(good))
        for number in numbers:
            rng = random.Random(f"{seed} {number}")
            kind = rng.choices(names, weights)[0]
            print(json.dumps({"begin": number, "kind": kind}), file=out, flush=True)
            faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
            with tempfile.TemporaryDirectory() as folder:
                record = _try(partial(SHARES[kind][0], subjects, rng, Path(folder)))
                left = [path.name for path in Path(folder).rglob("*") if path.suffix == ".part"]
            if left:
                record["harm"].append(f"left over: {left}")
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(record), file=out, flush=True)


def _try(read: Callable[[], None]) -> dict[str, Any]:
    """`read`: 1 where the input was read all the same; `harm`: what must not have happened."""
    began, harm, ended = time.monotonic(), [], 0
    try:
        read()
        ended = 1
    except LitePoseError as sentence:
        if not str(sentence) or len(str(sentence)) > 50_000:
            harm.append(f"a sentence of {len(str(sentence))} characters")
    except BaseException:  # also what ends a program
        harm.append(traceback.format_exc()[-1500:])
    if time.monotonic() - began > SECONDS:
        harm.append(f"it took {time.monotonic() - began:.0f} s")
    return {"read": ended, "harm": harm}
