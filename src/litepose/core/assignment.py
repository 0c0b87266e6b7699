"""Minimum-cost matching for the small problems of grouping, without scipy.

`min_cost_matching` is the shortest-augmenting-path form of the Hungarian method (Jonker and
Volgenant, 1987). `match_within` splits a sparse problem into connected components first: in a crowd
nearly every candidate and person see only each other, and such pairs need no solver.
"""

from __future__ import annotations

import numpy as np

_FORBIDDEN = 1e6  # far above any sum of real costs, far below float64's precision limit


def min_cost_matching(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (both (min(R, C),)) of the cheapest full matching of `cost` (R, C).

    Rows come back sorted. Raises AssertionError for costs that are not finite.
    """
    cost = np.asarray(cost, dtype=np.float64)
    assert cost.ndim == 2 and np.isfinite(cost).all()
    if cost.shape[0] > cost.shape[1]:
        columns, rows = min_cost_matching(cost.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    num_rows, num_columns = cost.shape
    row_price, column_price = np.zeros(num_rows), np.zeros(num_columns)
    row_of = np.full(num_columns, -1)  # matched row of each column
    column_of = np.full(num_rows, -1)
    for free_row in range(num_rows):
        shortest = np.full(num_columns, np.inf)
        came_from = np.full(num_columns, -1)
        done = np.zeros(num_columns, dtype=bool)
        row, distance, visited_rows = free_row, 0.0, []
        while True:
            visited_rows.append(row)
            through = distance + cost[row] - row_price[row] - column_price
            better = ~done & (through < shortest)
            shortest[better] = through[better]
            came_from[better] = row
            column = int(np.argmin(np.where(done, np.inf, shortest)))
            distance = shortest[column]
            done[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        row_price[free_row] += distance
        for row in visited_rows[1:]:
            row_price[row] += distance - shortest[column_of[row]]
        column_price[done] += shortest[done] - distance
        while True:  # walk back along the path, exchanging matched and unmatched
            row = int(came_from[column])
            row_of[column] = row
            column_of[row], column = column, int(column_of[row])
            if row == free_row:
                break
    return np.arange(num_rows), column_of


def match_within(cost: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(R,) column of each row, or -1: most pairs first, then the least cost, allowed pairs only.

    cost, allowed: (R, C); costs must stay within +-1000. Components that are a star (one row and
    columns that only it may take, or the reverse) are solved all at once; only the others need a
    solver.
    """
    matched = np.full(allowed.shape[0], -1)
    if not allowed.any():
        return matched
    per_row, per_column = allowed.sum(axis=1), allowed.sum(axis=0)
    masked = np.where(allowed, cost, _FORBIDDEN)
    star_rows = np.flatnonzero((per_row > 0) & ~(allowed & (per_column > 1)).any(axis=1))
    matched[star_rows] = masked[star_rows].argmin(axis=1)
    star_columns = np.flatnonzero(
        (per_column > 1) & ~(allowed & (per_row > 1)[:, None]).any(axis=0)
    )
    matched[masked[:, star_columns].argmin(axis=0)] = star_columns
    open_rows = per_row > 0
    open_rows[star_rows] = False
    open_rows &= ~allowed[:, star_columns].any(axis=1)
    for row in np.flatnonzero(open_rows):
        if open_rows[row]:
            rows, columns = _component(allowed, int(row))
            block = masked[rows[:, None], columns]
            at_row, at_column = min_cost_matching(block)
            real = block[at_row, at_column] < _FORBIDDEN
            matched[rows[at_row[real]]] = columns[at_column[real]]
            open_rows[rows] = False
    return matched


def _component(allowed: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that hang together with `row` through allowed pairs."""
    rows: np.ndarray = np.zeros(allowed.shape[0], dtype=bool)
    rows[row] = True
    while True:
        cols = np.logical_or.reduce(allowed[rows], axis=0)
        grown = np.logical_or.reduce(allowed[:, cols], axis=1)
        if np.array_equal(grown, rows):
            return np.flatnonzero(rows), np.flatnonzero(cols)
        rows = grown
