"""Keep the results of trainings on real people in one CSV, and tabulate them over seeds.

    python experiments/casfne/real_people.py add runs/t2-seed0 runs/norm-seed0 ...
    python experiments/casfne/real_people.py table t0 t1 t2 --baseline t0

A run's folder is named VARIANT-seedN. ``add`` copies its metrics of val and test to real_people.csv
beside this file, a line for each refinement; runs that are there already are replaced. ``table``
prints Markdown: mean over the seeds of the last refinement's errors, sample standard deviation,
p of a paired t-test against the baseline, and of the last refinement how far it moves its normals
(moved) and how far noise in their place moves its output (used), all in degrees.
"""

import argparse
import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import ttest_rel

LEDGER = Path(__file__).with_suffix(".csv")
ENDS = ("mean_deg", "median_deg", "lt11.25_pct", "lt20_pct", "lt22.5_pct", "lt25_pct", "lt30_pct")
USED = ("moved_deg", "normals_used_deg")
COLUMNS = ("variant", "seed", "part", "t", *ENDS, *USED)
Row = dict[str, str]


def read() -> list[Row]:
    """All rows so far."""
    if not LEDGER.exists():
        return []
    with LEDGER.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows_of(folder: Path) -> list[Row]:
    """Rows of one run."""
    variant, seed = folder.name.rsplit("-seed", 1)
    results = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    rows = []
    for key in results:
        if found := re.fullmatch(r"((?:val|test)(?:/mixtures)?)/t(\d+)/mean_deg", key):
            start = key.removesuffix("mean_deg")
            values = {end: results.get(start + end) for end in (*ENDS, *USED)}
            kept = {end: "" if value is None else f"{value:.4f}" for end, value in values.items()}
            row = {"variant": variant, "seed": seed, "part": found[1], "t": found[2]}
            rows.append(row | kept)
    return rows


def add(folders: Iterable[Path]) -> None:
    """Put runs into the CSV, in place of what it has of them."""
    fresh = [row for folder in folders for row in rows_of(folder)]
    runs = {(row["variant"], row["seed"]) for row in fresh}
    rows = [row for row in read() if (row["variant"], row["seed"]) not in runs] + fresh
    rows.sort(key=lambda row: (row["variant"], int(row["seed"]), row["part"], int(row["t"])))
    with LEDGER.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def last(rows: list[Row], variant: str, part: str) -> dict[int, Row]:
    """The row of the last refinement, by seed."""
    own = [row for row in rows if (row["variant"], row["part"]) == (variant, part)]
    return {int(row["seed"]): row for row in sorted(own, key=lambda row: int(row["t"]))}


def spread(values: list[float], digits: int = 2) -> str:
    """Mean and, of several, deviation."""
    text = f"{mean(values):.{digits}f}"
    return f"{text} +- {stdev(values):.{digits}f}" if len(values) > 1 else text


def table(variants: list[str], baseline: str | None, part: str) -> None:
    """Print Markdown."""
    rows = read()
    base = last(rows, baseline, part) if baseline else {}
    print("| | seeds | t | mean | p | median | <11.25 | <20 | <25 | <30 | moved | used |")
    print("| :--- |" + " ---: |" * 11)
    for variant in variants or list(dict.fromkeys(row["variant"] for row in rows)):
        found = last(rows, variant, part)
        if not found:
            continue
        seeds = sorted(found.keys() & base.keys())
        p = ""
        if variant != baseline and len(seeds) > 1:
            pairs = [[float(one[s]["mean_deg"]) for s in seeds] for one in (found, base)]
            p = f"{ttest_rel(*pairs).pvalue:.2g}"
        columns = [end for end in ENDS if end != "lt22.5_pct"]
        shown = []
        for end in (*columns, *USED):
            values = [float(row[end]) for row in found.values() if row[end]]
            shown.append(spread(values) if values else "-")
        t = next(iter(found.values()))["t"]
        cells = [variant, str(len(found)), t, shown[0], p, *shown[1:]]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Run one of both commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="copy the results of runs")
    adding.add_argument("folders", nargs="+", type=Path)
    showing = commands.add_parser("table", help="print a table")
    showing.add_argument("variants", nargs="*", help="rows, in this order; none: all")
    showing.add_argument("--baseline", help="the row that others are compared with")
    showing.add_argument("--part", default="test", help="val, test, val/mixtures, test/mixtures")
    options = parser.parse_args()
    if options.command == "add":
        add(options.folders)
    else:
        table(options.variants, options.baseline, options.part)


if __name__ == "__main__":
    main()
