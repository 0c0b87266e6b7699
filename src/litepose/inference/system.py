"""CPU count and model, background load, cache folder.

A container's share of the cores is set in its control group, which neither Python nor the runtimes
read. Threads beyond the share only wait for each other.
"""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")  # version 2: cpu.max; version 1: cpu/cpu.cfs_*


def usable_cores(group: Path = _GROUP) -> int:
    """Number of cores that this process may use: at least 1, at most its container's share."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    share = _share(group)
    return cores if share is None else max(1, min(cores, math.ceil(share)))


def _share(group: Path) -> float | None:
    """Number of cores that the control group allows, None without a limit."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu/cpu.cfs_quota_us").read_text()
            period = (group / "cpu/cpu.cfs_period_us").read_text()
        share = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" means no limit
        return None
    return share if share > 0 else None


def cpu_name() -> str:
    """Name of the CPU, such as "AMD EPYC 9654"."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine() or "unknown"


def cache_folder() -> Path:
    """The user's cache folder, for files that can be made again.

    $XDG_CACHE_HOME/litepose if that is set, else %LOCALAPPDATA%\\litepose on Windows,
    ~/Library/Caches/litepose on macOS and ~/.cache/litepose elsewhere.
    It may not exist. Raises RuntimeError if the user has no home folder.
    """
    chosen = os.environ.get("XDG_CACHE_HOME")
    if not chosen and sys.platform == "win32":
        chosen = os.environ.get("LOCALAPPDATA")
    if chosen:
        return Path(chosen) / "litepose"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "litepose"


class BackgroundLoad:
    """Load of other programs since this object was made, which disturbs timings."""

    def __init__(self) -> None:
        self._start, self._own, self._all = time.perf_counter(), _own_s(), _all_s()

    def share(self) -> float | None:
        """0 if no other program ran, 1 if others used all cores; None if unknown."""
        all_seconds = _all_s()
        if self._all is None or all_seconds is None:
            return None
        others = all_seconds - self._all - (_own_s() - self._own)
        seconds = (time.perf_counter() - self._start) * (os.cpu_count() or 1)
        return min(1.0, max(0.0, others / seconds))


def _own_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _all_s() -> float | None:
    """Busy seconds of all cores, guests and niced programs included; Linux only."""
    try:
        numbers = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        user, nice, system, _, _, irq, softirq, steal = map(int, numbers)
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
