"""The output folder: one map at a time, a plan of its parts, and a note of each finished one."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import time
from contextlib import suppress
from typing import IO, Any

from litepose.apps.map.job import Outcome, Part, Task
from litepose.apps.map.shards import TABLES, TEMPORARY
from litepose.apps.map.storage import file_system, is_local, storage_failures
from litepose.core.errors import LitePoseError
from litepose.core.read_text import parse_json

STALE_SECONDS = 120.0  # a remote lock that was not renewed for so long belongs to a dead run
RENEW_SECONDS = 20.0
BEYOND = 1 << 30  # the byte of the lock file that Windows locks; the file is shorter


class OutputFolder:
    """What has been written and by which run; all but the tables is in `_map/`."""

    def __init__(self, uri: str) -> None:
        """Raises LitePoseError where the storage is unknown."""
        self.uri = uri
        self.fs, self.root = file_system(uri)
        self.root = self.root.rstrip("/")
        self._lock: IO[str] | None = None
        self._renewed = 0.0

    @property
    def is_local(self) -> bool:
        return is_local(self.fs)

    def claim(self) -> None:
        """Make the folder and take its lock. Raises LitePoseError where another map has it."""
        try:
            self._claim()
        except OSError as exc:
            self.release()
            raise LitePoseError(
                f"cannot write to {self.uri}: {exc.strerror or exc}; name another --output"
            ) from None

    @storage_failures()
    def _claim(self) -> None:
        for name in (*TABLES, "_map/done", "_map/careful", TEMPORARY):
            self.fs.makedirs(f"{self.root}/{name}", exist_ok=True)
        if self.is_local:
            self._claim_local()
        else:
            self._claim_remote()
        for left in self._files(TEMPORARY):
            self.fs.rm_file(left)

    def _claim_local(self) -> None:
        """A lock of the operating system: it goes when its process dies, however it dies."""
        file = open(f"{self.root}/_map/lock", "a+", encoding="utf-8")  # noqa: PTH123, SIM115
        try:
            _lock(file)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise LitePoseError(self._taken(holder)) from None
        file.truncate(0)
        file.write(_who())
        file.flush()
        self._lock = file

    def _claim_remote(self) -> None:
        path = f"{self.root}/_map/lock"
        if self.fs.exists(path):
            held = parse_json(self.fs.cat_file(path), f"the lock {path}")
            if held["who"] != _who() and time.time() - held["time"] < STALE_SECONDS:
                raise LitePoseError(self._taken(held["who"]))
        self.renew()

    def _taken(self, holder: str) -> str:
        return f"another map ({holder}) writes to {self.uri}; wait for it, or name another --output"

    @storage_failures()
    def renew(self) -> None:
        """Say that this run is alive, where only a time can say it."""
        if not self.is_local and time.time() - self._renewed > RENEW_SECONDS:
            self._renewed = time.time()
            held = {"who": _who(), "time": self._renewed}
            self.fs.pipe_file(f"{self.root}/_map/lock", json.dumps(held).encode())

    def release(self) -> None:
        with suppress(OSError), storage_failures():
            if self._lock is not None:
                self._lock.close()
                self._lock = None
            elif self._renewed:
                self.fs.rm_file(f"{self.root}/_map/lock")

    def remaining(self, parts: list[Part], fingerprint: str) -> list[Part]:
        """The parts that no earlier run has finished; the first run writes down the plan.

        Raises LitePoseError where the folder holds a map of another source or other settings.
        """
        digest = hashlib.sha256()
        for part in parts:
            digest.update(f"{part.kind} {part.paths}\n".encode())
        plan = {"parts": len(parts), "source": digest.hexdigest(), "settings": fingerprint}
        path = f"{self.root}/_map/plan.json"
        try:
            before = self._first_plan(path, plan)
            if before["settings"] != plan["settings"]:
                raise LitePoseError(
                    f"{self.uri} holds a map with another model or other settings; give the same"
                    " ones to go on, or name another --output"
                )
            if before != plan:
                raise LitePoseError(
                    f"the source has changed since {self.uri} was begun ({before['parts']} parts"
                    f" then, {len(parts)} now, or other names); map it into another --output"
                )
            notes = self._files("_map/done")
        except OSError as exc:
            raise LitePoseError(f"cannot use {self.uri}: {exc.strerror or exc}") from None
        done = {note.rpartition("/")[2] for note in notes}
        return [part for part in parts if f"{part.name}.json" not in done]

    @storage_failures()
    def _first_plan(self, path: str, plan: dict[str, Any]) -> dict[str, Any]:
        if self.fs.exists(path):
            before: dict[str, Any] = parse_json(self.fs.cat_file(path), f"the plan {path}")
            return before
        self.fs.pipe_file(path, json.dumps(plan).encode())
        return plan

    @storage_failures()
    def _files(self, folder: str) -> list[str]:
        """Paths in a folder of ours as they are now; an object store has no empty folders."""
        self.fs.invalidate_cache()
        try:
            found: list[str] = self.fs.ls(f"{self.root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        return found

    @storage_failures()
    def note_done(self, outcome: Outcome) -> None:
        """The last step of a part: from now on no run works on it again. Raises OSError."""
        part = outcome.task.part
        path = f"{self.root}/_map/done/{part.name}.json"
        note = {
            "kind": part.kind,
            "first": part.paths[0],
            "last": part.paths[-1],
            "images": outcome.images,
            "people": outcome.people,
            "failures": outcome.failures,
            "cpu_seconds": outcome.cpu_seconds,
        }
        temporary = f"{self.root}/{TEMPORARY}/{part.name}.json"
        self.fs.pipe_file(temporary, json.dumps(note).encode())
        self.fs.mv(temporary, path)

    @storage_failures()
    def note_image(self, part: Part, place: int) -> None:
        """Before an image is read: who dies now died of it. Raises OSError."""
        self.fs.pipe_file(f"{self.root}/_map/careful/{part.name}", str(place).encode())

    @storage_failures()
    def noted_image(self, task: Task) -> int | None:
        """The place noted last for a part, None where there is none."""
        with suppress(OSError, ValueError):
            return int(self.fs.cat_file(f"{self.root}/_map/careful/{task.part.name}"))
        return None

    @storage_failures()
    def totals(self) -> dict[str, int]:
        """Sums over all finished parts, of this run and earlier ones."""
        sums = {"parts": 0, "images": 0, "people": 0, "failures": 0}
        notes = self._files("_map/done")
        for text in (self.fs.cat(notes) if notes else {}).values():  # side by side, if it can
            note = parse_json(text, f"a note in {self.uri}")
            for name in ("images", "people", "failures"):
                sums[name] += note[name]
            sums["parts"] += 1
        return sums


def _lock(file: IO[str]) -> None:
    """Lock a file until it is closed. Raises OSError where another process has it."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(BEYOND)  # what is locked cannot be read there, and the holder's name should be
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _who() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
