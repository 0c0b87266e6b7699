"""Evaluate models: AP with intervals, tables, example grids, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.evaluation.cost import network_cost as network_cost
    from litepose.evaluation.evaluator import EvaluateOptions as EvaluateOptions
    from litepose.evaluation.evaluator import evaluate as evaluate
    from litepose.evaluation.report import EvaluationReport as EvaluationReport

_HOMES = {
    "EvaluateOptions": "evaluator",
    "EvaluationReport": "report",
    "evaluate": "evaluator",
    "network_cost": "cost",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
