"""Do the tests notice faults? Puts one small fault after the other into a copy of the library and
runs the tests that must fail.

    python -m tools.mutants                  # all, about twenty minutes on two cores
    python -m tools.mutants --only msam      # those whose name matches
    python -m tools.mutants --list

Ends with 1 where a fault survives or an edit no longer fits the source. Not part of the suite;
tests/test_mutants.py checks that every edit still fits.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from tqdm.auto import tqdm

from tools.mutants import MUTANTS
from tools.mutants.bench import attempts, unchanged


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", metavar="PATTERN", default="", help="regular expression of names")
    parser.add_argument("--list", action="store_true", help="list the faults and their tests")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="faults at a time")
    options = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if re.search(options.only, m.name)]
    if not chosen:
        print(f"No name matches {options.only!r}; --list shows all.", file=sys.stderr)
        return 1
    if options.list:
        for m in chosen:
            print(f"{m.name:44} {m.file:40} {m.tests}")
        print(f"{len(chosen)} faults")
        return 0
    misfits = [refusal for m in chosen if (refusal := m.refusal())]
    if misfits:
        print(*misfits, sep="\n", file=sys.stderr)
        return 1
    print(f"{len(chosen)} faults. First their tests on the unchanged library.")
    before = unchanged(chosen)
    if before.outcome != "survived":
        print(before.output, "The tests fail without any fault: mend that first.", sep="\n")
        return 1
    print(f"They pass ({before.seconds:.0f} s).")
    left = []
    with tqdm(total=len(chosen), unit="fault") as bar:
        for result in attempts(chosen, options.jobs):
            bar.update()
            if result.mutant and result.outcome != "killed":
                left.append(result)
                m = result.mutant
                bar.write(f"{result.outcome}: {m.name}\n  {m.file}: {m.old!r} -> {m.new!r}")
                bar.write("  " + result.output.replace("\n", "\n  "))
    print(f"{len(chosen) - len(left)} of {len(chosen)} killed.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
