"""Read a TOML file and `key=value` words into a TrainConfig; report all mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.names import local_path
from litepose.core.read_text import parse_toml, read_toml
from litepose.imaging.find_images import missing_message
from litepose.training.config import TrainConfig
from litepose.training.section import Section

Config = TypeVar("Config", bound=Section)


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """A training run's TOML file, changed by words such as `epochs=50`, `data.train.0.weight=2`.

    Values are TOML; other values are text. Raises LitePoseError that lists every mistake.
    """
    return config_from_dict(read_table(path, overrides), str(path))


def read_table(path: str | Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The file's table with the overrides in place."""
    if not local_path(path).exists():
        raise LitePoseError(missing_message(Path(path)))
    table = read_toml(local_path(path), "the configuration")
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise LitePoseError(
                f"an override has the form epochs=50 or data.root=folder; got {word!r}"
            )
        _put(table, key.strip().split("."), _value(value), word)
    return table


def config_from_dict(table: Mapping[str, Any], where: str = "the configuration") -> TrainConfig:
    """A table as a TrainConfig. Raises LitePoseError that lists every mistake."""
    return checked(TrainConfig, table, where)


def checked(kind: type[Config], table: Mapping[str, Any], where: str) -> Config:
    """A table as a configuration of that kind. Raises LitePoseError that lists every mistake."""
    try:
        return kind.model_validate(table)
    except ValidationError as exc:
        lines = [f"  {_explain(error, kind)}" for error in exc.errors()]
        raise LitePoseError(f"{where} has {len(lines)} mistake(s):\n" + "\n".join(lines)) from None


def _value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}", "the value")["value"]
    except LitePoseError:
        return text


def _put(table: Any, keys: list[str], value: Any, word: str) -> None:
    *parents, last = keys
    try:
        for key in parents:
            table = table[int(key)] if isinstance(table, list) else table.setdefault(key, {})
        table[int(last) if isinstance(table, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError):
        raise LitePoseError(f"the override {word!r} names no key of the configuration") from None


def _explain(error: Any, kind: type[Section]) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        nearest = did_you_mean(str(error["loc"][-1]), _siblings(error["loc"], kind))
        return f"{place}: unknown key{nearest}"
    text = error["msg"].removeprefix("Value error, ")
    got = error["input"]
    shown = "" if isinstance(got, Mapping) or error["type"] == "missing" else f"; got {got!r:.200}"
    return f"{place}: {text}{shown}" if place else text


def _siblings(loc: Sequence[int | str], kind: type[Section]) -> list[str]:
    """The known keys of the section with the error."""
    section: type[BaseModel] = kind
    for key in loc[:-1]:
        if isinstance(key, str) and key in section.model_fields:
            annotation = section.model_fields[key].annotation
            kinds = [annotation, *get_args(annotation)]
            section = next(
                (k for k in kinds if isinstance(k, type) and issubclass(k, Section)), section
            )
    return list(section.model_fields)
