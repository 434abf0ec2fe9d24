"""What was measured: rows, their table and their file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from facegeo.errors import UserError
from facegeo.files.tables import Cell, Table
from facegeo.files.writing import write_whole

FORMAT = "facegeo-bench-1"
COLUMNS = ("group", "case", "what", "ms", "p95", "a second", "faster", "differs", "note")
NOTE = (
    "ms, p95 = median and 95th percentile of a face's, an image's or a sample's share of one call; "
    "a second = how many of them; faster = median of the case's first row / this one's, calls in "
    "turn; differs = greatest distance of its outputs to the first row's (points: px); GFLOP/s = "
    "what the published network multiplies and adds, whatever the form; peak = of the GPU's "
    "memory, or of the whole process."
)


@dataclass(frozen=True)
class Row:
    """One candidate in one case.

    Attributes:
        group: Such as "ccnn".
        case: Such as "1 face, 1 thread".
        name: The candidate.
        items: Of one call.
        median_ms: Of one call, as all that follow; "paper" rows have nothing else.
        p95_ms: 95th percentile.
        low_ms: First quartile.
        high_ms: Third quartile.
        rounds: Calls timed.
        faster: Median of the case's first candidate divided by this one's.
        differs: Greatest difference of the outputs to the first candidate's; None: not compared.
        note: What a reader must know.
        data_share: Of a training's time, how much data take and what lies between steps.
        peak_mb: Most memory of a training: of the GPU, or of the whole process.
    """

    group: str
    case: str
    name: str
    items: int
    median_ms: float
    p95_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    rounds: int = 0
    faster: float | None = None
    differs: float | None = None
    note: str = ""
    data_share: float | None = None
    peak_mb: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the row in every report."""
        return self.group, self.case, self.name

    def cells(self) -> tuple[Cell, ...]:
        """As ``COLUMNS``."""
        each = self.median_ms / self.items
        return (
            self.group,
            self.case,
            self.name,
            each,
            None if self.p95_ms is None else self.p95_ms / self.items,
            1e3 / each,
            self.faster,
            None if self.differs is None else f"{self.differs:.0e}",
            self.note,
        )


@dataclass(frozen=True)
class Report:
    """All rows of one call of the command.

    Attributes:
        machine: What they were measured on.
        settings: How.
        rows: In order.
        missing: What was left out, and how to have it.
    """

    machine: Mapping[str, str]
    settings: Mapping[str, Any]
    rows: Sequence[Row]
    missing: Sequence[str] = field(default_factory=tuple)

    def table(self) -> Table:
        """One table of all rows."""
        said = "; ".join(f"{name} {value}" for name, value in self.machine.items())
        left_out = "".join(f" Left out: {reason}." for reason in self.missing)
        return Table(
            title="facegeo-bench",
            columns=COLUMNS,
            rows=tuple(row.cells() for row in self.rows),
            note=f"{said}. {NOTE}{left_out}",
            digits={"ms": 3, "p95": 3, "a second": 0},
        )

    def json(self, more: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Everything, for ``read_report``; and what else is to be told."""
        return json.dumps({"format": FORMAT} | asdict(self) | dict(more), indent=1)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_whole(path, self.json().encode())


def read_report(path: Path) -> Report:
    """Read what ``out=`` wrote.

    Raises:
        UserError: If there is no such file, or it is another.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        said = found.pop("format")
        rows = [Row(**row) for row in found.pop("rows")]
        if said == FORMAT:
            return Report(rows=rows, **found)
    except OSError as error:
        raise UserError(f"compare={path} can not be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        said = "another"
    raise UserError(
        f"compare={path} must be a file that facegeo-bench out=FILE.json wrote ({FORMAT}), "
        f"its format is {said}; measure again"
    )
