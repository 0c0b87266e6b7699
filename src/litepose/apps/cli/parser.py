"""argparse that suggests the nearest verb or option for one that it does not know."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from litepose.core.console import plain_lines
from litepose.core.errors import did_you_mean

# Of 0.1.0, and what they are called now.
RENAMED = {"answers": "pseudo-label", "doctor": "check", "--film-size": "--video-size"}


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """A type for argparse: a whole number within bounds."""

    def read(text: str) -> int:
        try:
            number = int(text) if len(text) < 30 else None
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {most}; got {text!r:.60}"
            )
        return number

    return read


def number(least: float, most: float = 1e9) -> Callable[[str], float]:
    """As `whole`, for any finite number."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:  # nan lies nowhere
            raise argparse.ArgumentTypeError(
                f"must be a number from {least:g} to {most:g}; got {text!r:.60}"
            )
        return value

    return read


class Parser(argparse.ArgumentParser):
    """Sub-parsers are of this class too; the innermost one that was used is `options.parser`."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.set_defaults(parser=self)

    def parse(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """As `parse_args`, but an unknown option is answered with the most similar one."""
        options, unknown = self.parse_known_args(arguments)
        if "overrides" in options:  # argparse takes such words only where they stand together
            options.overrides += [word for word in unknown if not word.startswith("-")]
            unknown = [word for word in unknown if word.startswith("-")]
        if unknown:
            word = unknown[0].partition("=")[0]
            if not word.startswith("-"):
                options.parser.error(f"unexpected argument {word!r}")
            if word in RENAMED:
                options.parser.error(f"option {word!r} is now called {RENAMED[word]!r}")
            known = set(re.findall(r"--[a-z][\w-]*", options.parser.format_help()))
            options.parser.error(f"unknown option {word!r}{did_you_mean(word, known, 0.75)}")
        return options

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice and choice[1] in RENAMED:
            message = f"{choice[1]!r} is now called {RENAMED[choice[1]]!r}"
        elif choice:
            message += did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))
        super().error(plain_lines(message))
