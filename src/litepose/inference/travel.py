"""Send a Predictor to another process: it opens its model there again, with the same settings.

The session of a runtime cannot be copied; the path of its file can. Models inside the package are
sent by name, since the package may be elsewhere on the other side.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.models.model_file import ModelFile

# The name; whether the file is inside the package; the path there, or the whole one.
Place = tuple[str, bool, str]


def place_of(file: ModelFile) -> Place:
    """Where another process finds a model file."""
    whole, package = file.path.resolve(), Path(str(files("litepose"))).resolve()
    if whole.is_relative_to(package):
        return file.name, True, whole.relative_to(package).as_posix()
    return file.name, False, str(whole)


def file_at(place: Place) -> ModelFile:
    """The file here. Raises LitePoseError where there is none."""
    name, inside, where = place
    path = Path(str(files("litepose"))) / where if inside else Path(where)
    if not path.is_file():
        raise LitePoseError(
            f"a Predictor that came from another process needs its model file {path}, which is not"
            " here: open it with litepose.load in this process"
        )
    return ModelFile(name, path)
