"""Sum up why many images could not be read: each kind of reason, its count, an example.

A count alone gives no reason; a thousand equal lines hide other reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_KINDS = 5


def sum_up(reasons: Iterable[str]) -> str:
    """`380 times: a.jpg is empty; 4 times: no file b.jpg`: the most frequent kinds first."""
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        # Parts that differ between two reasons of a kind: paths, names in quotes, numbers.
        kind = re.sub(r"'[^']*'|\S*[./\\]\S*|\d+", "#", reason)
        kinds.setdefault(kind, []).append(reason)
    ranked = sorted(kinds.values(), key=len, reverse=True)
    parts = [
        f"{len(of_kind):,} times: {of_kind[0]}" if len(of_kind) > 1 else of_kind[0]
        for of_kind in ranked[:MOST_KINDS]
    ]
    if len(ranked) > MOST_KINDS:
        left = sum(map(len, ranked[MOST_KINDS:]))
        parts.append(f"and {left:,} of {len(ranked) - MOST_KINDS} other kinds")
    return "; ".join(parts)
