"""`python -m tests.fuzz --seed S --count N`: exit code 1 where an input did harm."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz.hunt import hunt, work


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    numbers = range(options.first, options.first + options.count)
    if options.worker:
        work(options.seed, numbers)
        return 0
    found = hunt(options.seed, numbers)
    print(found.table())
    for finding in found.findings:
        print(f"\n{finding}")
    print(f"seed {options.seed}: {len(found.findings)} findings")
    return 1 if found.findings else 0


sys.exit(main())
