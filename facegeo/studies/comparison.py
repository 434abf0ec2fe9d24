"""The rows of a study: each variant's numbers over its seeds, against a baseline and the paper."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facegeo.errors import UserError
from facegeo.papers import Printed, paper_title, paper_values, printed
from facegeo.runs.about import sound
from facegeo.studies.hindrances import hindrances
from facegeo.studies.runs import Study, StudyRun
from facegeo.studies.seed_statistics import Difference, Spread, difference, spread
from facegeo.studies.variants import Variant, find_variants

MEASURES = ("error_pct", "mean_deg")
"""What is compared where a study does not say: the first that was measured."""
FIRST = object()
"""The baseline where a study does not say: the first row."""
PAPERS_OWN = ("ccnn/paper", "ccnn/tuned")
"""Experiments whose stages are those that the paper prints, where a study does not say."""
LAST = "last"
"""Among a study's rows: the last that each variant measured."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: Of the variant, of what was measured (``stage1``), or both.
        variant: Its runs.
        entry: Second part of the metrics' names, such as ``stage1`` or ``t2``.
        values: The measure by seed, of the finished runs.
        spread: Over the seeds.
        difference: To the baseline; None for the baseline, or without a common seed.
        paper: What the paper prints for it.
    """

    name: str
    variant: Variant
    entry: str
    values: Mapping[int, float]
    spread: Spread
    difference: Difference | None
    paper: Printed | None


@dataclass(frozen=True)
class Comparison:
    """A study, compared.

    Attributes:
        study: Its runs.
        split: First part of the metrics' names.
        measure: Last part of the metrics' names.
        variants: In the order of the plan.
        rows: For each variant, one an entry.
        baseline: Name of the row that the others are compared with.
        cells: What the paper prints, by row.
        paper: Its authors and title; empty without.
        notes: What hinders the comparison, a sentence each.
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

    def metric(self, run: StudyRun, entry: str, measure: str | None = None) -> float | None:
        """What a run measured of an entry; None if it did not."""
        return run.metrics.get(f"{self.split}/{entry}/{measure or self.measure}")

    def entries(self, variant: Variant) -> list[str]:
        """What a variant's runs measured: ``stage1``, ``stage2``, ... or ``t0``, ``t1``, ..."""
        return _entries(variant.done, self.split, self.measure)

    def by_seed(self, variant: Variant, entry: str, measure: str | None = None) -> dict[int, float]:
        """A measure of the finished runs of a variant, by seed."""
        found = {run.seed or 0: self.metric(run, entry, measure) for run in variant.done}
        return {seed: value for seed, value in found.items() if value is not None}


def compare(study: Study) -> Comparison:
    """Compare the variants of a study as its ``about`` says, or as its metrics suggest.

    What is wrong in ``about`` becomes a note: a report must not fail for it after days of runs.
    """
    about, faults = sound(study.about)
    study = replace(study, about=about, notes=(*study.notes, *faults))
    done = [run for run in study.runs if run.status == "done"]
    variants = tuple(find_variants(study))
    names = [name for run in done for name in run.metrics]
    split, measure = _measured(about, names, choosing=len(variants) > 1)
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
        notes=(*study.notes, *doubts, *hindrances(done, split)),
    )
    rows = _bare_rows(bare)
    if study.trials is not None:  # a search: the best first
        rows.sort(key=lambda row: math.inf if row.spread.mean is None else row.spread.mean)
    wanted = about.get("baseline", FIRST)
    base = _find(rows, wanted)
    notes = list(bare.notes)
    if wanted not in (None, FIRST) and base is None:
        notes.append(f"There is no row {wanted!r} to compare with yet.")
    shown = {row.variant.name for row in rows}
    left_out = [one.name for one in variants if one.done and one.name not in shown]
    if done and not any(row.values for row in rows):
        notes.append(f"No finished run has measured {split}/.../{measure}.")
    elif left_out:
        notes.append(
            f"Not shown, as {split}/.../{measure} was not measured: {'; '.join(left_out)}."
        )
    compared = [
        replace(
            row,
            difference=difference(row.values, base.values) if base and row is not base else None,
            paper=_printed(bare.cells, row, measure),
        )
        for row in rows
    ]
    name = base.name if base else None
    return replace(bare, rows=tuple(compared), baseline=name, notes=tuple(notes))


def _paper(
    about: Mapping[str, Any], done: Sequence[StudyRun]
) -> tuple[str | None, Mapping[str, Any], list[str]]:
    """The paper's section, by default the one of the paper's own training; its cells; a doubt."""
    section = about.get("paper")
    if "paper" not in about and done and all(run.experiment in PAPERS_OWN for run in done):
        found = ((run.config.get("data") or {}).get("paper") for run in done)
        section = next((str(name) for name in found if name), None)
    try:
        return section, paper_values(section) or {}, []
    except UserError as error:
        return None, {}, [f"No number of the paper: {error}."]


def _measured(about: Mapping[str, Any], names: Sequence[str], *, choosing: bool) -> tuple[str, str]:
    """Split and measure: what the study says, or what was measured; to choose, held-out faces."""
    measured = {name.split("/")[0] for name in names}
    order = ("val", "test") if choosing else ("test", "val")
    ends = {name.split("/")[-1] for name in names}
    suggested = next((measure for measure in MEASURES if measure in ends), MEASURES[0])
    split = about.get("split") or next((one for one in order if one in measured), order[0])
    return str(split), str(about.get("measure") or suggested)


def _bare_rows(comparison: Comparison) -> list[Row]:
    variants = comparison.variants
    entries = comparison.study.about.get("rows") or _suggested(comparison)
    rows = []
    for variant in variants:
        for asked in map(str, entries):
            entry = _last(comparison, variant) if asked == LAST else asked
            values = comparison.by_seed(variant, entry)
            if values or not variant.done:
                name = _row_name(variant, entry, len(variants), len(entries))
                shown = spread(list(values.values()))
                rows.append(Row(name, variant, entry, values, shown, None, None))
    return rows


def _last(comparison: Comparison, variant: Variant) -> str:
    return next(reversed(comparison.entries(variant)), LAST)


def _row_name(variant: Variant, entry: str, variants: int, entries: int) -> str:
    if variants == 1:
        return entry
    return variant.name if entries == 1 else f"{variant.name} {entry}"


def _find(rows: Sequence[Row], wanted: object) -> Row | None:
    """The row of that name, or whose only setting has that value; None wants none.

    Of several variants of that name, as an axis that a user adds makes them, the first.
    """
    if wanted == FIRST:
        return rows[0] if len(rows) > 1 else None
    named = [row for row in rows if str(wanted) in _names(row)]
    return next(iter(named or [row for row in rows if row.name.startswith(f"{wanted} (")]), None)


def _names(row: Row) -> list[str]:
    """The row's name, and if that is ``key=value``, the value."""
    _, equals, value = row.name.partition("=")
    return [row.name, value] if equals and "," not in value else [row.name]


def _printed(cells: Mapping[str, object], row: Row, measure: str) -> Printed | None:
    found = (printed(cells, name, measure) for name in _names(row))
    return next((cell for cell in found if cell), None)


def _suggested(comparison: Comparison) -> list[str]:
    """All that one variant measured; of several, the last that all of them did."""
    variants = comparison.variants
    found = [comparison.entries(variant) for variant in variants if variant.done]
    if not found:
        return [comparison.measure]
    if len(variants) == 1:
        return found[0]
    common = [entry for entry in found[0] if all(entry in other for other in found)]
    return common[-1:] or sorted({entry for one in found for entry in one}, key=_order)


def _entries(runs: Sequence[StudyRun], split: str, measure: str) -> list[str]:
    parts = (name.split("/") for run in runs for name in run.metrics)
    found = {p[1] for p in parts if len(p) == 3 and (p[0], p[2]) == (split, measure)}
    return sorted(found - {"mean_shape"}, key=_order)


def _order(entry: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(\d*)", entry)
    return (match[1], int(match[2] or 0)) if match else (entry, 0)
