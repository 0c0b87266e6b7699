"""Section: a table of a configuration; refuses unknown keys and names the new key of old ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from litepose.core.errors import did_you_mean


class Section(BaseModel):
    """Refuses unknown keys; for the keys of 0.1.0 in `RENAMED`, names the new key."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    RENAMED: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _todays_keys(cls, value: Any) -> Any:
        old = set(cls.RENAMED) & set(value) if isinstance(value, Mapping) else ()
        if old:
            raise ValueError(
                "; ".join(f"{k!r} is now called {cls.RENAMED[k]!r}" for k in sorted(old))
            )
        return value


RENAMED = {"colour": "color"}  # keys of 0.1.0


def known_fields(kind: type) -> BeforeValidator:
    """Refuse unknown keys of plain dataclasses, which pydantic ignores."""

    def check(value: Any) -> Any:
        names = [f.name for f in dataclasses.fields(kind)]
        if isinstance(value, Mapping):
            unknown = set(value) - {*names}
            problems = [
                f"key {key!r} is now called {RENAMED[key]!r}"
                if key in RENAMED
                else f"unknown key {key!r}{did_you_mean(key, names)}"
                for key in unknown
            ]
            if problems:
                raise ValueError("; ".join(sorted(problems)))
        return value

    return BeforeValidator(check)
