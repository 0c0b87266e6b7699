"""Minimum-cost matching for small problems, without scipy.

`min_cost_matching` is the shortest-augmenting-path form of the Hungarian method (Jonker and
Volgenant, 1987). `match_edges` splits a sparse problem into connected components first: in a crowd
most candidates and persons have one possible partner, and such pairs need no solver.
"""

from __future__ import annotations

import numpy as np


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


def match_edges(
    rows: np.ndarray, columns: np.ndarray, cost: np.ndarray, num_rows: int
) -> np.ndarray:
    """(num_rows,) column of each row, or -1: most pairs first, then the least cost.

    rows, columns, cost: (E,) the allowed pairs, each once.
    If no row and no column is in two pairs, the pairs are the matching. If no pair joins a row of
    several pairs to a column of several pairs, every component is a star: one row and columns that
    only it may take, or the reverse. The cheapest pair of a star is the matching of the star. Only
    other components need a solver.
    """
    matched = np.full(num_rows, -1)
    if len(rows) == len(set(rows.tolist())) == len(set(columns.tolist())):
        matched[rows] = columns
        return matched
    per_row, per_column = np.bincount(rows, minlength=num_rows), np.bincount(columns)
    order = np.argsort(-cost, kind="stable")  # the cheapest pair is written last
    by_row, by_column = rows.take(order), columns.take(order)
    matched[by_row] = by_column
    liked = np.empty(len(per_column), dtype=np.intp)  # each column's cheapest row
    liked[by_column] = by_row
    mutual = liked.take(matched) == np.arange(num_rows)
    matched[~mutual] = -1
    tangled = (per_row.take(rows) > 1) & (per_column.take(columns) > 1)
    if tangled.any():
        hard = np.bincount(rows, tangled)[rows] + np.bincount(columns, tangled)[columns] > 0
        _match_hard(rows[hard], columns[hard], cost[hard], matched)
    return matched


def _match_hard(
    rows: np.ndarray, columns: np.ndarray, cost: np.ndarray, matched: np.ndarray
) -> None:
    """Solve the components of these edges one by one, into `matched`."""
    names, row = np.unique(rows, return_inverse=True)
    matched[names] = -1
    places, column = np.unique(columns, return_inverse=True)
    shape = (len(names), len(places))
    allowed = np.zeros(shape, dtype=bool)
    allowed[row, column] = True
    table = np.full(shape, 1 + 2 * sum(shape) * np.abs(cost).max())  # worse than any allowed pairs
    table[row, column] = cost
    left = np.ones(len(names), dtype=bool)
    for first in range(len(names)):
        if left[first]:
            in_rows, in_columns = _component(allowed, first)
            at_row, at_column = min_cost_matching(table[in_rows[:, None], in_columns])
            at_row, at_column = in_rows[at_row], in_columns[at_column]
            real = allowed[at_row, at_column]
            matched[names[at_row[real]]] = places[at_column[real]]
            left[in_rows] = False


def _component(allowed: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns connected with `row` through allowed pairs."""
    rows: np.ndarray = np.zeros(allowed.shape[0], dtype=bool)
    rows[row] = True
    while True:
        cols = np.logical_or.reduce(allowed[rows], axis=0)
        grown = np.logical_or.reduce(allowed[:, cols], axis=1)
        if np.array_equal(grown, rows):
            return np.flatnonzero(rows), np.flatnonzero(cols)
        rows = grown
