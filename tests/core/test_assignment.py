"""The matching is as cheap as scipy's, dense and by components."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from litepose.core.assignment import match_edges, min_cost_matching


@given(st.integers(0, 2**31), st.integers(0, 9), st.integers(0, 9))
def test_dense_matching_costs_what_scipy_says(seed: int, rows: int, columns: int) -> None:
    cost = np.random.default_rng(seed).normal(size=(rows, columns)) * 50
    ours = min_cost_matching(cost)
    scipys = linear_sum_assignment(cost)
    assert np.isclose(cost[ours].sum(), cost[scipys].sum())
    assert len(set(ours[1].tolist())) == len(ours[0]) == min(rows, columns)
    assert (np.diff(ours[0]) > 0).all()


@settings(max_examples=200)
@given(st.integers(0, 2**31), st.integers(0, 12), st.integers(0, 12), st.floats(0.02, 0.9))
def test_matching_by_components_is_the_optimum_over_allowed_pairs(seed, rows, columns, share):
    rng = np.random.default_rng(seed)
    cost = rng.uniform(-1, 101, (rows, columns))
    allowed = rng.random((rows, columns)) < share
    at = np.nonzero(allowed)
    columns_of = match_edges(*at, cost[at], rows)
    taken = columns_of[columns_of >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert allowed[np.flatnonzero(columns_of >= 0), taken].all()
    big = np.where(allowed, cost, 1e6)
    best_rows, best_columns = linear_sum_assignment(big)
    real = allowed[best_rows, best_columns]
    assert len(taken) == real.sum(), "as many pairs as can be"
    ours = cost[np.flatnonzero(columns_of >= 0), taken].sum()
    assert np.isclose(ours, cost[best_rows[real], best_columns[real]].sum())
