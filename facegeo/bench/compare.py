"""What became slower since an earlier measurement, beyond what measurements differ by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facegeo.bench.report import Report, Row
from facegeo.files.tables import Cell, Table

MARGIN = 1.05
"""Times of two measurements of the same work differ by this factor without a reason."""
SAME_MACHINE = ("processor", "cores", "gpu")
NOTE = (
    "ms = median of one call; ratio = now / before, above 1 is slower. SLOWER, faster: by more "
    f"than {MARGIN - 1:.0%} and the middle halves of the calls do not overlap. "
)


@dataclass(frozen=True)
class Change:
    """One row then and now.

    Attributes:
        before: As it was.
        after: As it is.
    """

    before: Row
    after: Row

    @property
    def ratio(self) -> float:
        """Median now / before."""
        return self.after.median_ms / self.before.median_ms

    @property
    def verdict(self) -> str:
        """SLOWER, faster, or nothing where the difference may be noise."""
        if self.ratio > MARGIN and _low(self.after) > _high(self.before):
            return "SLOWER"
        if self.ratio < 1 / MARGIN and _high(self.after) < _low(self.before):
            return "faster"
        return ""


@dataclass(frozen=True)
class Comparison:
    """Two measurements.

    Attributes:
        changes: Of the rows that both have.
        warnings: Why they may not be comparable.
    """

    changes: Sequence[Change]
    warnings: Sequence[str]

    @property
    def worst(self) -> float:
        """Greatest ratio of what is slower beyond the noise; 1 if nothing is."""
        return max([1.0, *(c.ratio for c in self.changes if c.verdict == "SLOWER")])

    def plain(self) -> dict[str, Any]:
        """Return the rows and warnings as plain JSON values."""
        names = ("group", "case", "name", "before_ms", "now_ms", "ratio", "verdict")
        rows = [dict(zip(names, cells, strict=True)) for cells in self._rows()]
        return {"changes": rows, "warnings": list(self.warnings)}

    def _rows(self) -> tuple[tuple[Cell, ...], ...]:
        return tuple(
            (*c.after.key, c.before.median_ms, c.after.median_ms, c.ratio, c.verdict)
            for c in self.changes
        )

    def table(self) -> Table:
        """A row a change."""
        return Table(
            title="Now against before",
            columns=("group", "case", "what", "before ms", "now ms", "ratio", "verdict"),
            rows=self._rows(),
            note=NOTE + " ".join(self.warnings),
            digits={"before ms": 3, "now ms": 3},
        )


def compare_reports(before: Report, after: Report) -> Comparison:
    """Set the rows of two measurements side by side; the papers' rows are left out."""
    known = {row.key: row for row in before.rows if row.rounds}
    mine = [row for row in after.rows if row.rounds]
    changes = [Change(known[row.key], row) for row in mine if row.key in known]
    warnings = [
        f"Warning: {name} was {before.machine.get(name)}, is {after.machine.get(name)}."
        for name in SAME_MACHINE
        if before.machine.get(name) != after.machine.get(name)
    ]
    then, now = _flat(before.settings), _flat(after.settings)
    warnings += [
        f"Warning: {name} was {then[name]}, is {now[name]}."
        for name in now
        if name in then and name != "seconds" and then[name] != now[name]
    ]
    alone = len(mine) + len(known) - 2 * len(changes)
    if alone:
        warnings.append(f"{alone} rows stand in one of the two alone.")
    return Comparison(changes, warnings)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names that a user types: those of a group as ``casfne.size``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        own = value.items() if isinstance(value, Mapping) else ()
        flat |= {f"{name}.{key}": one for key, one in own} or {name: value}
    return flat


def _low(row: Row) -> float:
    return row.median_ms if row.low_ms is None else row.low_ms


def _high(row: Row) -> float:
    return row.median_ms if row.high_ms is None else row.high_ms
