"""Damage, drawn from a seed: to bytes, to text, and to values of JSON's kinds."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 10**9, 10**30, 10**400, -(10**18), float("nan"), float("inf"),
    "", "x", "\0", "\ud800", "\x1b[2J", "../x", "C:\\x", "n" * 5000, "1", [], {}, [[]], [[[[1]]]],
    [None], [0, 0], {"a": {}}, [1] * 1000, [float("nan")] * 3, {"size": None, "counts": None},
)  # fmt: skip
TEXTS = ("[" * 100_000, "9" * 5000, "{" * 3000, '"', "\\ud800", "NaN", "-Infinity", "1e999", "\0")


def damaged_bytes(rng: random.Random, content: bytes) -> bytes:
    """One to four injuries: flipped, cut out, doubled, overwritten, inserted or cut off bytes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        # Half of them near the beginning, where headers are.
        at = rng.randrange(min(len(data), 200) if rng.random() < 0.5 else len(data))
        size = rng.choice((1, 1, 2, 4, 30, 400))
        how = rng.randrange(6)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[at : at + size]
        elif how == 2:
            data[at:at] = data[at : at + size]
        elif how == 3:
            fill = rng.choice((b"\0", b"\xff", bytes([rng.randrange(256)])))
            data[at : at + size] = fill * len(data[at : at + size])
        elif how == 4:
            data[at:at] = rng.randbytes(size)
        else:
            del data[at:]
    return bytes(data)


def damaged_value(rng: random.Random, value: Any) -> Any:
    """The same tree with one to three of its places changed for something odd, or left out."""
    root = [copy.deepcopy(value)]
    for _ in range(rng.randint(1, 3)):
        parent, key = _place(rng, root)
        if rng.random() < 0.2 and parent is not root:
            del parent[key]
        elif rng.random() < 0.15:
            parent[key] = [parent[key]]
        else:
            parent[key] = copy.deepcopy(rng.choice(ODD))
    return root[0]


def _place(rng: random.Random, root: list[Any]) -> tuple[Any, Any]:
    """A container of the tree and a key in it, however deep."""
    parent: Any = root
    key: Any = 0
    while rng.random() < 0.8 and isinstance(parent[key], dict | list) and parent[key]:
        parent = parent[key]
        key = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    return parent, key


def damaged_json(rng: random.Random, value: Any) -> bytes:
    """JSON with odd values in it, sometimes with odd text in place of a part."""
    text = json.dumps(damaged_value(rng, value))
    if rng.random() < 0.2:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(TEXTS) + text[at + rng.randrange(4) :]
    content = text.encode()
    return damaged_bytes(rng, content) if rng.random() < 0.1 else content
