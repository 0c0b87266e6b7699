"""Send a Predictor to another process: it opens its model there again, with the same settings.

A runtime's session cannot be copied, so the path of the model file is sent. Models inside the
package are sent by name, because the package may have another path in the other process.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.models.model_file import ModelFile

# Name; whether the file is inside the package; path inside the package, or the whole path.
Place = tuple[str, bool, str]


def place_of(file: ModelFile) -> Place:
    """The place of a model file, for another process."""
    whole, package = file.path.resolve(), Path(str(files("litepose"))).resolve()
    if whole.is_relative_to(package):
        return file.name, True, whole.relative_to(package).as_posix()
    return file.name, False, str(whole)


def file_at(place: Place) -> ModelFile:
    """The model file at a place. Raises LitePoseError if it is missing."""
    name, inside, where = place
    path = Path(str(files("litepose"))) / where if inside else Path(where)
    if not path.is_file():
        raise LitePoseError(
            f"a Predictor that came from another process needs its model file {path}, which is not"
            " here: open it with litepose.load in this process"
        )
    return ModelFile(name, path)
