"""Minimum-cost matching for small problems, without scipy.

`min_cost_matching` is the shortest-augmenting-path form of the Hungarian method (Jonker and
Volgenant, 1987). `match_edges` splits a sparse problem into connected components first: most of
them are one pair or a few. Both are loops over lists: for so few numbers a call of numpy takes
longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    return np.arange(cost.shape[0]), np.array(_columns_of(cost.tolist(), cost.shape[1]), np.intp)


def _columns_of(cost: Sequence[Sequence[float]], num_columns: int) -> list[int]:
    """The column of each row in the cheapest matching; there are no more rows than columns."""
    row_price, column_price = [0.0] * len(cost), [0.0] * num_columns
    row_of, column_of = [-1] * num_columns, [-1] * len(cost)
    for free_row in range(len(cost)):
        shortest, came_from = [float("inf")] * num_columns, [free_row] * num_columns
        left, done = list(range(num_columns)), []
        row, distance = free_row, 0.0
        while True:
            costs, offset = cost[row], distance - row_price[row]
            column, least = -1, float("inf")
            for j in left:
                through = offset + costs[j] - column_price[j]
                if through < shortest[j]:
                    shortest[j], came_from[j] = through, row
                if shortest[j] < least:
                    column, least = j, shortest[j]
            distance = least
            left.remove(column)
            done.append(column)
            if row_of[column] < 0:
                break
            row = row_of[column]
        row_price[free_row] += distance
        for j in done[:-1]:
            row_price[row_of[j]] += distance - shortest[j]
            column_price[j] -= distance - shortest[j]
        while True:  # walk back along the path, exchanging matched and unmatched
            row = came_from[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
            if row == free_row:
                break
    return column_of


def match_edges(
    rows: np.ndarray, columns: np.ndarray, cost: np.ndarray, num_rows: int
) -> np.ndarray:
    """(num_rows,) column of each row, or -1: most pairs first, then the least cost.

    rows, columns, cost: (E,) the allowed pairs, each once.
    """
    matched = np.full(num_rows, -1)
    if len(rows) == len(set(rows.tolist())) == len(set(columns.tolist())):
        matched[rows] = columns
        return matched
    edges: dict[int, dict[int, float]] = {}
    for row, column, price in zip(rows.tolist(), columns.tolist(), cost.tolist(), strict=True):
        edges.setdefault(row, {})[column] = price
    for component in _components(edges):
        for row, column in _cheapest({row: edges[row] for row in component}).items():
            matched[row] = column
    return matched


def _components(edges: dict[int, dict[int, float]]) -> Iterator[list[int]]:
    """Lists of the rows that are connected through columns."""
    rows_of: dict[int, list[int]] = {}
    for row, own in edges.items():
        for column in own:
            rows_of.setdefault(column, []).append(row)
    seen: set[int] = set()
    for first in edges:
        if first in seen:
            continue
        seen.add(first)
        found = [first]
        for row in found:  # grows meanwhile
            for column in edges[row]:
                for other in rows_of.pop(column, ()):
                    if other not in seen:
                        seen.add(other)
                        found.append(other)
        yield found


def _cheapest(edges: dict[int, dict[int, float]]) -> dict[int, int]:
    """The columns of a component's rows, without rows that get none."""
    if len(edges) == 1:
        ((row, own),) = edges.items()
        return {row: min(reversed(own), key=own.__getitem__)}
    rows, columns = list(edges), sorted({column for own in edges.values() for column in own})
    most = max(abs(price) for own in edges.values() for price in own.values())
    never = 1 + 2 * (len(rows) + len(columns)) * most  # worse than any allowed pairs
    table = [[edges[row].get(column, never) for column in columns] for row in rows]
    if len(rows) <= len(columns):
        pairs = list(enumerate(_columns_of(table, len(columns))))
    else:
        across = _columns_of(list(zip(*table, strict=True)), len(rows))
        pairs = [(i, j) for j, i in enumerate(across)]
    return {rows[i]: columns[j] for i, j in pairs if columns[j] in edges[rows[i]]}
