"""Write the API pages from the docstrings: HTML below out/docs. Warnings are errors.

python docs/api.py [FOLDER]      # needs '.[dev,docs]'; `make docs` installs both
"""

from __future__ import annotations

import re
import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pdoc
import pdoc.render

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
# "name: what it is" and "one, other: what they are", at the margin of a docstring.
_FIELD = re.compile(r"^(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*): +(?=\S)", re.MULTILINE)


def module_names() -> list[str]:
    """Every module of the package, by its file."""
    names = []
    for path in sorted(SOURCE.rglob("litepose/**/*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def open_face(module: ModuleType, absent: set[str]) -> None:
    """Resolve a package's lazy names, and list its files beside them, so that pdoc shows both."""
    public = list(getattr(module, "__all__", []))
    for name in public:
        setattr(module, name, getattr(module, name))
    here = Path(str(module.__file__)).parent
    files = [path.stem for path in sorted(here.glob("[a-z]*.py"))]
    folders = [path.parent.name for path in sorted(here.glob("*/__init__.py"))]
    shown = {name for name in files if f"{module.__name__}.{name}" not in absent}
    module.__all__ = sorted({*public, *shown, *folders})


def resolve_tuples(module: ModuleType) -> None:
    """Resolve the annotations of named tuples, which pdoc would look up in another module."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
            value.__new__.__annotations__ = get_type_hints(value)


def with_lists(docstring: str) -> str:
    """Our docstrings as Markdown: one item for each parameter, errors apart."""
    listed = _FIELD.sub(lambda match: f"\n- `{match['names']}`: ", docstring)
    return re.sub(r"^(?=Raises |Returns )", "\n", listed, flags=re.MULTILINE)


def write(folder: Path) -> int:
    """Write all pages into `folder`; returns how many."""
    modules, absent = [], set()
    for name in module_names():
        try:
            modules.append(import_module(name))
        except ModuleNotFoundError as exc:  # a converter that wants an environment of its own
            if str(exc.name).startswith("litepose"):
                raise
            absent.add(name)
            print(f"left out: {name}, which needs {exc.name}")
    for module in modules:
        if Path(str(module.__file__)).name == "__init__.py":
            open_face(module, absent)
        resolve_tuples(module)
    to_html = pdoc.render.env.filters["to_html"]
    pdoc.render.env.filters["to_html"] = lambda text: to_html(with_lists(text))
    pdoc.render.configure(docformat="markdown", show_source=True, math=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc("litepose", *(f"!{name}" for name in absent), output_directory=folder)
    return len(modules)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "out" / "docs"
    print(f"{write(target)} pages in {target}")
