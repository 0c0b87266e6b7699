"""Save and restore the state of an interrupted run.

Plain tensors and numbers, read with `weights_only`; written whole or not at all, and not
before the disk is known to have room. On a CPU a resumed run ends with exactly the weights of the
undisturbed one.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.kinds import check_kinds
from litepose.core.read_text import check_regular, parse_json
from litepose.training.config import TrainConfig
from litepose.training.distributed import Processes
from litepose.training.losses import Losses

VERSION = 1
# What may differ between a run and its continuation: where things lie and how they are computed.
FREE = {"name", "output", "run"}


@dataclass
class Progress:
    """Progress of a run. Sums are of the current epoch.

    epoch, batch: the next ones; step: optimizer steps done; seconds: of the whole run
    loss_sums: of Losses' fields, times images; train_seconds: spent in batches, waiting included
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_ap: float | None = None
    loss_sums: list[float] = field(default_factory=list)
    images: int = 0
    train_seconds: float = 0.0
    wait_seconds: float = 0.0
    unreadable: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)
        if min(self.epoch, self.batch, self.step, self.images, self.unreadable) < 0:
            raise LitePoseError("counts of a run are 0 or more")
        new = len(Losses._fields) - len(self.loss_sums)  # a run begun when there were fewer
        if new < 0:
            raise LitePoseError(f"a run has {len(Losses._fields)} sums; got {len(self.loss_sums)}")
        self.loss_sums = [*self.loss_sums, *[0.0] * new]

    def next_epoch(self) -> None:
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sums, self.images = [0.0] * len(Losses._fields), 0
        self.train_seconds = self.wait_seconds = 0.0


def save_state(
    path: Path, config: TrainConfig, progress: Progress, parts: dict[str, Any], group: Processes
) -> None:
    """Write the state of a run; every process takes part, the first one writes.

    parts: by name, what has a `state_dict`, or plain values. Raises LitePoseError where the disk is
    too full or the folder cannot be written; the old state then stays as it was.
    """
    random_states = group.gather(_random_state(group.device))
    if not group.first:
        return
    state = {
        "version": VERSION,
        "config": config.model_dump_json(),
        "progress": asdict(progress),
        "random": random_states,
        "parts": {
            name: part.state_dict() if hasattr(part, "state_dict") else part
            for name, part in parts.items()
        },
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_state(path: Path, config: TrainConfig) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises LitePoseError where the file is damaged or belongs to a run with other settings.
    """
    check_regular(path, "the state")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state["version"]
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc.strerror}") from None
    except Exception as exc:  # unpickling raises whatever broken data lead it to
        raise LitePoseError(f"{path} is no state of a run, or damaged: {exc}") from None
    if version != VERSION:
        raise LitePoseError(f"{path} has version {version}, this program reads {VERSION}")
    try:
        before = TrainConfig.model_validate(parse_json(state["config"], "its configuration"))
        Progress(**state["progress"])
        parts, random = state["parts"], state["random"]
        if not (isinstance(parts, dict) and isinstance(random, list)):
            raise ValueError("its parts are of another kind")
        if not isinstance(parts.get("channels_last"), bool):
            raise ValueError("it does not say how memory was laid out")
    except (KeyError, TypeError, ValueError) as exc:
        raise LitePoseError(f"{path} is damaged or was edited: {exc}") from None
    _check_same(path, before, config)
    return state


def restore(state: dict[str, Any], parts: dict[str, Any], group: Processes) -> Progress:
    """Load a state into the objects of this run, random states included.

    Raises LitePoseError where it is of another number of processes, or does not fit.
    """
    if len(state["random"]) != group.world:
        raise LitePoseError(
            f"the run was interrupted with {len(state['random'])} processes and cannot go on with"
            f" {group.world}; start as many"
        )
    own = state["random"][group.rank]
    try:
        for name, part in parts.items():
            if hasattr(part, "load_state_dict"):
                part.load_state_dict(state["parts"][name])
        torch.set_rng_state(own["cpu"])
        if "cuda" in own and group.device.type == "cuda":
            torch.cuda.set_rng_state(own["cuda"], group.device)
    except Exception as exc:  # each part raises what it likes where its state is another's
        raise LitePoseError(
            f"the state of the run is damaged or was edited: {type(exc).__name__}: {exc};"
            " start again with another output"
        ) from None
    return Progress(**state["progress"])


def _random_state(device: torch.device) -> dict[str, torch.Tensor]:
    own = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state(device)
    return own


def _check_same(path: Path, before: TrainConfig, now: TrainConfig) -> None:
    old, new = (_flat(c.model_dump(exclude=FREE)) for c in (before, now))
    free = ("data.root", "data.workers", "data.max_unreadable")
    changed = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k) and k not in free]
    for key in ("precision", "accumulate"):
        if getattr(before.run, key) != getattr(now.run, key):
            changed.append(f"run.{key}")
    if changed:
        raise LitePoseError(
            f"{path} belongs to a run with other settings: {', '.join(changed)}; give the same ones"
            " to go on, or another output to start again"
        )


def _flat(table: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= (
            _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        )
    return flat
