"""ModelFile: the file of a model, resolved once and then kept by the backend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.core.files import sha256_of
from litepose.core.kinds import check_kind
from litepose.core.names import local_path
from litepose.models import zoo

EXPORTED = (".onnx", ".xml")
CHECKPOINTS = (".safetensors", ".pth", ".tar", ".pt")
SUFFIXES = (*EXPORTED, *CHECKPOINTS)


@dataclass(frozen=True)
class ModelFile:
    """name: as given, in the zoo or a path; path: the file with the weights."""

    name: str
    path: Path

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the file; for OpenVINO, of both files."""
        weights = self.path.with_suffix(".bin")
        return sha256_of(self.path, *([weights] if self._in_two and weights.is_file() else []))

    @property
    def _in_two(self) -> bool:
        return self.path.suffix == ".xml"


def given_file(model: str | os.PathLike[str] | None) -> ModelFile | None:
    """The file if the name is a path; None if it is a name in the zoo.

    Raises LitePoseError if there is no such file, or its suffix is not that of a model.
    """
    name = name_of(model)
    path = local_path(name)
    if path.suffix in SUFFIXES:
        if not path.is_file():
            raise LitePoseError(f"no model file {name}")
        return ModelFile(name, path)
    try:
        zoo.find_model(name)
    except LitePoseError:
        beside = [path.parent / f"{path.name}{s}" for s in SUFFIXES if path.name]
        near = next((p for p in beside if p.is_file()), None)
        if near is not None:
            raise LitePoseError(f"no model {name!r}; did you mean the file {near}?") from None
        if path.is_dir():
            raise LitePoseError(f"{name} is a folder; name the model file in it") from None
        if path.is_file():
            raise LitePoseError(
                f"the name of a model file ends in {' '.join(SUFFIXES)}; got {name}"
            ) from None
        raise
    return None


def model_files(model: str | os.PathLike[str] | None) -> list[ModelFile]:
    """All files with a model's weights: the named one, or those found for a name in the zoo.

    None is the default model. Raises LitePoseError for an unknown name or a missing file.
    """
    given = given_file(model)
    if given is not None:
        return [given]
    name = name_of(model)
    found = ((name, zoo.find_weights(name, suffix)) for suffix in (".onnx", ".safetensors"))
    return [ModelFile(name, path) for name, path in found if path is not None]


def resolve_model(
    model: str | os.PathLike[str] | None, first: Sequence[str] = EXPORTED
) -> ModelFile:
    """A model's file, preferably with one of the suffixes `first`.

    Raises LitePoseError for an unknown name, a missing file, or a model without weights here.
    """
    existing = model_files(model)
    if not existing:
        entry = zoo.find_model(name_of(model))
        raise LitePoseError(
            f"there are no weights for {entry.info.name} here ({entry.weights}). `litepose models`"
            f" lists what there is; put {entry.file_stem}.onnx or .safetensors in a folder and name"
            f" it in {zoo.WEIGHTS_VARIABLE}"
        )
    return next((file for file in existing if file.path.suffix in first), existing[0])


def name_of(model: str | os.PathLike[str] | None) -> str:
    """The name of a model; None means the default model."""
    check_kind("model", model, str | os.PathLike | None)
    return zoo.DEFAULT if model is None else os.fspath(model)
