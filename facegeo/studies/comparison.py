"""The rows of a study: each variant over its seeds, against a baseline and the paper."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facegeo.errors import UserError
from facegeo.papers import Printed, paper_title, paper_values, printed
from facegeo.runs.jobs import sound
from facegeo.studies.runs import Study, StudyRun
from facegeo.studies.variants import Variant, find_variants

MEASURES = ("error_pct", "mean_deg")
"""Measures by default: the first that was measured."""
FIRST = object()
"""The baseline of a study that does not name one: the first row."""
PAPERS_OWN = ("ccnn/paper", "ccnn/tuned")
"""Experiments that train as the paper does: its numbers are shown even if a study omits them."""
LAST = "last"
"""Among a study's rows: the last that each variant measured."""


@dataclass(frozen=True)
class Spread:
    """Number of seeds, their mean and sample standard deviation (over n - 1), if defined."""

    n: int
    mean: float | None
    std: float | None


@dataclass(frozen=True)
class Difference:
    """One variant minus another, over the ``n`` seeds that both have.

    ``p`` is of a two-sided paired t-test; None with fewer than two seeds, or if the differences are
    all equal or not all finite.
    """

    n: int
    mean: float
    p: float | None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: Of the variant, of the entry, or both.
        variant: Its runs.
        entry: Second part of the metrics' names, such as ``stage1`` or ``t2``.
        values: The measure by seed, of the finished runs.
        spread: Over the seeds.
        difference: To the baseline; None for the baseline, or without a common seed.
        paper: The paper's number for it.
    """

    name: str
    variant: Variant
    entry: str
    values: Mapping[int, float]
    spread: Spread
    difference: Difference | None = None
    paper: Printed | None = None


@dataclass(frozen=True)
class Comparison:
    """A study, compared.

    Attributes:
        study: Its runs.
        split: First part of the metrics' names.
        measure: Last part of the metrics' names.
        variants: In the order in which they were planned.
        rows: For each variant, one an entry.
        baseline: Name of the row that the others are compared with.
        cells: The paper's numbers, by row.
        paper: Its authors and title; empty without a paper.
        notes: Warnings, a sentence each.
    """

    study: Study
    split: str
    measure: str
    variants: tuple[Variant, ...]
    rows: tuple[Row, ...]
    baseline: str | None
    cells: Mapping[str, Any]
    paper: str
    notes: tuple[str, ...]

    def entries(self, variant: Variant) -> list[str]:
        """Entries that a variant's runs measured: ``stage1``, ``stage2`` or ``t0``, ``t1``."""
        parts = (name.split("/") for run in variant.done for name in run.metrics)
        found = {p[1] for p in parts if len(p) == 3 and (p[0], p[2]) == (self.split, self.measure)}
        return sorted(found - {"mean_shape"}, key=_order)

    def by_seed(self, variant: Variant, entry: str, measure: str | None = None) -> dict[int, float]:
        """A measure of the finished runs of a variant, by seed."""
        name = f"{self.split}/{entry}/{measure or self.measure}"
        return {run.seed or 0: run.metrics[name] for run in variant.done if name in run.metrics}


def compare(study: Study) -> Comparison:
    """Compare the variants of a study as its ``about`` asks, or as its metrics suggest.

    A mistake in ``about`` becomes a note: a report must not fail for it after days of runs.
    """
    about, faults = sound(study.about)
    study = replace(study, about=about, notes=(*study.notes, *faults))
    done = [run for run in study.runs if run.status == "done"]
    variants = tuple(find_variants(study))
    split, measure = _measured(about, done, choosing=len(variants) > 1)
    section, cells, doubts = _paper(about, done)
    bare = Comparison(
        study=study,
        split=split,
        measure=measure,
        variants=variants,
        rows=(),
        baseline=None,
        cells=cells,
        paper=paper_title(section) if cells else "",
        notes=(*study.notes, *doubts, *warnings(done, split)),
    )
    rows = _rows(bare)
    if study.searches:  # the best first
        rows.sort(key=lambda row: math.inf if row.spread.mean is None else row.spread.mean)
    base = _find(rows, about.get("baseline", FIRST))
    compared = [
        replace(
            row,
            difference=difference(row.values, base.values) if base and row is not base else None,
            paper=next(filter(None, (printed(cells, n, measure) for n in _names(row))), None),
        )
        for row in rows
    ]
    return replace(
        bare,
        rows=tuple(compared),
        baseline=base.name if base else None,
        notes=(*bare.notes, *_missing(bare, rows, base)),
    )


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation; not finite values make both NaN.

    >>> spread([2.0, 4.0])
    Spread(n=2, mean=3.0, std=1.4142135623730951)
    """
    if not values:
        return Spread(0, None, None)
    if not all(map(math.isfinite, values)):
        return Spread(len(values), math.nan, math.nan if len(values) > 1 else None)
    std = statistics.stdev(values) if len(values) > 1 else None
    return Spread(len(values), statistics.fmean(values), std)


def difference(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Compare two variants seed by seed, both by seed; None without a common seed."""
    common = sorted(values.keys() & baseline.keys())
    if not common:
        return None
    own, base = [values[seed] for seed in common], [baseline[seed] for seed in common]
    differences = [one - other for one, other in zip(own, base, strict=True)]
    if not all(map(math.isfinite, differences)):
        return Difference(len(common), math.nan, None)
    mean = statistics.fmean(differences)
    # Equal differences, but for the rounding of a subtraction, have no spread to test against.
    rounding = 1e-12 * max(map(abs, (*own, *base)))
    if max(differences) - min(differences) <= rounding:
        return Difference(len(common), mean, None)
    from scipy.stats import ttest_rel  # slow to import: here, not where a training starts

    return Difference(len(common), mean, float(ttest_rel(own, base).pvalue))


def warnings(done: Sequence[StudyRun], split: str) -> list[str]:
    """Warnings about finished runs that are not comparable: other data, other commits."""
    trained = [run.record.get("data") or {} for run in done]
    measured = [(run.record.get("also_on") or {}).get(split) for run in done]
    if split == "test":
        own = [{"hash": one.get("test_hash"), "title": one.get("title")} for one in trained]
        measured = [other or test for other, test in zip(measured, own, strict=True)]
    notes = []
    for place, used in (("trained", trained), ("measured", measured)):
        data = {str(d["hash"]): str(d.get("title", "")) for d in used if d and d.get("hash")}
        if len(data) > 1:
            named = ", ".join(f"{title} {key[:12]}" for key, title in data.items())
            notes.append(
                f"The runs were {place} on different data ({named}): their numbers are not "
                "comparable."
            )
    last = ((run.record.get("git") or {}).get("commit") for run in done)
    found = (run.record.get("commits") or [one] for run, one in zip(done, last, strict=True))
    commits = sorted({str(commit)[:10] for sessions in found for commit in sessions if commit})
    if len(commits) > 1:
        notes.append(f"The runs are of different commits: {', '.join(commits)}.")
    return notes


def _missing(bare: Comparison, rows: Sequence[Row], base: Row | None) -> list[str]:
    """Notes about a baseline or numbers that are not there."""
    notes, wanted = [], bare.study.about.get("baseline", FIRST)
    name = f"{bare.split}/.../{bare.measure}"
    if wanted not in (None, FIRST) and base is None:
        notes.append(f"There is no row {wanted!r} to compare with yet.")
    shown = {row.variant.name for row in rows}
    left_out = [one.name for one in bare.variants if one.done and one.name not in shown]
    finished = any(one.done for one in bare.variants)
    if finished and not any(row.values for row in rows):
        notes.append(f"No finished run has measured {name}.")
    elif left_out:
        notes.append(f"Not shown, as {name} was not measured: {'; '.join(left_out)}.")
    return notes


def _paper(
    about: Mapping[str, Any], done: Sequence[StudyRun]
) -> tuple[str | None, Mapping[str, Any], list[str]]:
    """The paper's section, by default that of the data if trained as the paper; cells; a note."""
    section = about.get("paper")
    if "paper" not in about and done and all(run.experiment in PAPERS_OWN for run in done):
        found = ((run.config.get("data") or {}).get("paper") for run in done)
        section = next((str(name) for name in found if name), None)
    try:
        return section, paper_values(section) or {}, []
    except UserError as error:
        return None, {}, [f"No number of the paper: {error}."]


def _measured(
    about: Mapping[str, Any], done: Sequence[StudyRun], *, choosing: bool
) -> tuple[str, str]:
    """Split and measure, from ``about`` or the metrics; to choose a variant, held-out faces."""
    names = [name.split("/") for run in done for name in run.metrics]
    splits, ends = {name[0] for name in names}, {name[-1] for name in names}
    order = ("val", "test") if choosing else ("test", "val")
    split = about.get("split") or next((one for one in order if one in splits), order[0])
    suggested = next((measure for measure in MEASURES if measure in ends), MEASURES[0])
    return str(split), str(about.get("measure") or suggested)


def _rows(comparison: Comparison) -> list[Row]:
    """Rows without difference and paper."""
    variants = comparison.variants
    asked = list(map(str, comparison.study.about.get("rows") or _suggested(comparison)))
    rows = []
    for variant in variants:
        last = next(reversed(comparison.entries(variant)), LAST)
        for entry in (last if one == LAST else one for one in asked):
            values = comparison.by_seed(variant, entry)
            if values or not variant.done:
                name = variant.name if len(asked) == 1 else f"{variant.name} {entry}"
                name = entry if len(variants) == 1 else name
                rows.append(Row(name, variant, entry, values, spread(list(values.values()))))
    return rows


def _find(rows: Sequence[Row], wanted: object) -> Row | None:
    """The row of that name, or whose only setting has that value; None for None.

    Of several variants of that name, as an axis that a user adds makes them, the first.
    """
    if wanted is FIRST:
        return rows[0] if len(rows) > 1 else None
    named = [row for row in rows if str(wanted) in _names(row)]
    return next(iter(named or [row for row in rows if row.name.startswith(f"{wanted} (")]), None)


def _names(row: Row) -> list[str]:
    """The row's name, and if that is ``key=value``, the value."""
    _, equals, value = row.name.partition("=")
    return [row.name, value] if equals and "," not in value else [row.name]


def _suggested(comparison: Comparison) -> list[str]:
    """All entries of a single variant; of several, the last that all of them measured."""
    variants = comparison.variants
    found = [comparison.entries(variant) for variant in variants if variant.done]
    if not found:
        return [comparison.measure]
    if len(variants) == 1:
        return found[0]
    common = [entry for entry in found[0] if all(entry in other for other in found)]
    return common[-1:] or sorted({entry for one in found for entry in one}, key=_order)


def _order(entry: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(\d*)", entry)
    return (match[1], int(match[2] or 0)) if match else (entry, 0)
