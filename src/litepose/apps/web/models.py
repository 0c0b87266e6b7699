"""Models of the server: those of the efforts, those of the package, and files that were offered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from litepose.apps.web.body import RefusedError
from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.model_info import ModelInfo
from litepose.imaging.read import ReadLimits
from litepose.inference.effort import EFFORTS, USUAL
from litepose.inference.load import open_predictor
from litepose.inference.predictor import Predictor
from litepose.models.zoo import MODELS, find_weights

_MODEL = "model "  # before a model's name, so that it is no effort's


class Models(Mapping[str, Predictor]):
    """A Predictor for each key of `key`, opened when it is first asked for.

    opened: what is open already, by key; own: models offered besides the package's, by name
    trouble: why the default one cannot be used yet, or at all; None once it can
    """

    def __init__(
        self,
        limits: ReadLimits,
        opened: Mapping[str, Predictor] | None = None,
        own: Mapping[str, Predictor] | None = None,
    ) -> None:
        self._limits, self._lock = limits, threading.Lock()
        self._open = dict(opened or {}) | {_MODEL + name: one for name, one in (own or {}).items()}
        waiting = "the default model is being opened"
        self.trouble: str | None = None if USUAL in self._open else waiting
        self.infos: dict[str, ModelInfo] = {
            name: model.info for name, model in MODELS.items() if find_weights(name)
        }
        self.infos |= {name: one.info for name, one in (own or {}).items()}

    def key(self, effort: str | None, model: str | None) -> str:
        """Raises RefusedError (422) for an effort or model that is not offered, or both."""
        if model is None:
            effort = USUAL if effort is None else effort
            if effort not in EFFORTS:
                raise RefusedError(422, f"effort is {', '.join(EFFORTS)}; got {effort!r}")
            return effort
        if effort is not None:
            raise RefusedError(422, "an effort chooses its model: give effort or model, not both")
        if model not in self.infos:
            hint = did_you_mean(model, self.infos)
            raise RefusedError(
                422, f"no model {model!r}{hint}; this server has {', '.join(self.infos)}"
            )
        return _MODEL + model

    def __getitem__(self, key: str) -> Predictor:
        """Raises RefusedError (503) where it cannot be opened."""
        with self._lock:
            try:
                if key not in self._open:
                    name = key.removeprefix(_MODEL)
                    if name == key:
                        self._open[key] = open_predictor(effort=key, limits=self._limits)
                    else:
                        self._open[key] = open_predictor(name, limits=self._limits)
            except LitePoseError as exc:
                self.trouble = str(exc) if key == USUAL else self.trouble
                raise RefusedError(503, str(exc)) from None
            self.trouble = None if key == USUAL else self.trouble
            return self._open[key]

    def __iter__(self) -> Iterator[str]:
        return iter((*EFFORTS, *(_MODEL + name for name in self.infos)))

    def __len__(self) -> int:
        return len(EFFORTS) + len(self.infos)

    def open_default(self) -> None:
        """In a thread of its own, so that the page answers meanwhile."""

        def attempt() -> None:
            with suppress(RefusedError):  # kept in `trouble`
                _ = self[USUAL]

        if self.trouble is not None:
            threading.Thread(target=attempt, name="open-model", daemon=True).start()

    def to_dict(self) -> dict[str, Any]:
        """Efforts and models, for JSON."""
        models = {
            name: {
                "keypoints": list(info.skeleton.keypoints),
                "input_size": info.input.size,
                "views": list(info.input.views) or [info.input.size],
                "license": info.license,
            }
            for name, info in self.infos.items()
        }
        return {"efforts": {name: one.model for name, one in EFFORTS.items()}, "models": models}
