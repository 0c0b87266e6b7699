"""Check types of arguments and settings, and name a wrong one at once.

Settings come from files and callers. Python's own error for a text in place of a number comes late
and names neither the argument nor the expected type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from litepose.core.errors import LitePoseError


class WrongKindError(LitePoseError, TypeError):
    """An argument or field of a wrong type."""


def check_kinds(record: Any) -> None:
    """Check every field of a dataclass against its annotation, before it is used.

    NumPy numbers count as numbers; booleans do not, and a float must be finite.
    Raises WrongKindError that names the field.
    """
    for name, kind in _kinds_of(type(record)).items():  # type: ignore[arg-type]
        check_kind(name, getattr(record, name), kind)


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Raise WrongKindError if the argument `name` does not fit the annotation."""
    if not _fits(value, kind):
        raise WrongKindError(f"{name} must be {_words(kind)}; got {_shown(value)}")


@cache
def _kinds_of(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {name: kind for name, kind in hints.items() if get_origin(kind) is not ClassVar}


def _fits(value: Any, kind: Any) -> bool:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, item) for item in inside)
    if origin is Literal:
        return isinstance(value, str) and value in inside
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inside) == 2 and inside[1] is Ellipsis:
            return all(_fits(item, inside[0]) for item in value)
        return len(value) == len(inside) and all(map(_fits, value, inside))
    if kind is bool:
        return isinstance(value, bool | np.bool_)
    if kind in (int, float):
        return _is_number(value, Integral if kind is int else Real)
    return kind is Any or isinstance(value, origin or kind)


def _is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        return False
    return isinstance(value, Integral) or math.isfinite(float(value))  # type: ignore[arg-type]


def _words(kind: Any) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(map(_words, inside))
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if origin is tuple and len(inside) == 2 and inside[1] is Ellipsis:
        return f"a tuple, each of it {_words(inside[0])}"
    if origin is tuple:
        return f"a tuple of {len(inside)}, each of it {_words(inside[0])}"
    plain = {
        bool: "True or False",
        int: "a whole number",
        float: "a finite number",
        str: "a text",
        NoneType: "None",
        Mapping: "a mapping",
    }
    kind = origin or kind
    return plain.get(kind) or f"of type {kind.__name__}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # a foreign class may raise anything
        text = "something"
    return f"{text[:80]}{'...' * (len(text) > 80)} ({type(value).__name__})"
