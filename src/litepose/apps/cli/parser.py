"""argparse that suggests the nearest verb or option for one that it does not know."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from litepose.core.errors import did_you_mean

# Of 0.1.0, and what they are called now.
RENAMED = {"answers": "pseudo-label", "--film-size": "--video-size"}


class Parser(argparse.ArgumentParser):
    """Sub-parsers are of this class too; the innermost one that was used is `options.parser`."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.set_defaults(parser=self)

    def parse(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """As `parse_args`, which says nothing about an unknown option but that it is one."""
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
        super().error(message)
