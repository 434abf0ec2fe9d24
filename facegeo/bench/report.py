"""Rows of a measurement: their table, their file, comparison with an earlier one, the papers'."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.files.tables import Cell, Table
from facegeo.files.writing import write_whole
from facegeo.papers import paper_title, paper_values

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
        note: For readers of the row.
        data_share: Share of a training's time between its steps: data and the trainer.
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
        """Name of the row in every report."""
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
        machine: Processor, cores, GPU and versions.
        settings: Of ``conf/bench.yaml``.
        rows: In order.
        missing: Candidates that were left out, with how to install them.
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

    def json(self, **more: Any) -> str:
        """Everything, for ``read_report``, with more top-level keys."""
        return json.dumps({"format": FORMAT} | asdict(self) | more, indent=1)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_whole(path, self.json().encode())


def read_report(path: Path) -> Report:
    """Read a file that ``out=`` wrote.

    Raises:
        UserError: If there is no such file, or it has another format.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        said = found.pop("format")
        rows = [Row(**row) for row in found.pop("rows")]
        if said == FORMAT:
            return Report(rows=rows, **found)
    except OSError as error:
        raise UserError(f"compare={path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        said = "another"
    raise UserError(
        f"compare={path} must be a file that facegeo-bench out=FILE.json wrote ({FORMAT}), "
        f"its format is {said}; measure again"
    )


MARGIN = 1.05
"""Times of two measurements of the same work differ by this factor without a reason."""
SAME_MACHINE = ("processor", "cores", "gpu")
COMPARISON_NOTE = (
    "ms = median of one call; ratio = now / before, above 1 is slower. SLOWER, faster: by more "
    f"than {MARGIN - 1:.0%} and the middle halves of the calls do not overlap. "
)


class Change(NamedTuple):
    """A row of both measurements: medians of one call, and now / before."""

    group: str
    case: str
    name: str
    before_ms: float
    now_ms: float
    ratio: float
    verdict: str
    """SLOWER, faster, or nothing where the difference may be noise."""

    @classmethod
    def of(cls, before: Row, after: Row) -> Change:
        """Compare the medians; the middle halves of the calls must not overlap."""
        ratio, verdict = after.median_ms / before.median_ms, ""
        if ratio > MARGIN and _quartiles(after)[0] > _quartiles(before)[1]:
            verdict = "SLOWER"
        if ratio < 1 / MARGIN and _quartiles(after)[1] < _quartiles(before)[0]:
            verdict = "faster"
        return cls(*after.key, before.median_ms, after.median_ms, ratio, verdict)


def _quartiles(row: Row) -> tuple[float, float]:
    low, high = (row.median_ms if ms is None else ms for ms in (row.low_ms, row.high_ms))
    return low, high


@dataclass(frozen=True)
class Comparison:
    """Two measurements.

    Attributes:
        changes: Of the rows that both have.
        warnings: Reasons why they may not be comparable.
    """

    changes: Sequence[Change]
    warnings: Sequence[str]

    @property
    def worst(self) -> float:
        """Greatest ratio of the rows that are slower beyond the noise; 1 without any."""
        return max([1.0, *(c.ratio for c in self.changes if c.verdict == "SLOWER")])

    def plain(self) -> dict[str, Any]:
        """Return the rows and warnings as plain JSON values."""
        changes = [change._asdict() for change in self.changes]
        return {"changes": changes, "warnings": list(self.warnings)}

    def table(self) -> Table:
        """One row per change."""
        return Table(
            title="Now against before",
            columns=("group", "case", "what", "before ms", "now ms", "ratio", "verdict"),
            rows=tuple(self.changes),
            note=COMPARISON_NOTE + " ".join(self.warnings),
            digits={"before ms": 3, "now ms": 3},
        )


def compare_reports(before: Report, after: Report) -> Comparison:
    """Pair the rows of two measurements, without those of the papers."""
    known = {row.key: row for row in before.rows if row.rounds}
    mine = [row for row in after.rows if row.rounds]
    changes = [Change.of(known[row.key], row) for row in mine if row.key in known]
    then, now = (
        {name: one.machine.get(name) for name in SAME_MACHINE} | _flat(one.settings)
        for one in (before, after)
    )
    warnings = [
        f"Warning: {name} was {then[name]}, is {value}."
        for name, value in now.items()
        if name in then and name != "seconds" and then[name] != value
    ]
    unpaired = len(mine) + len(known) - 2 * len(changes)
    if unpaired:
        warnings.append(f"{unpaired} rows are in only one of the two.")
    return Comparison(changes, warnings)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names that a user types: those of a group as ``casfne.size``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        own = value.items() if isinstance(value, Mapping) else ()
        flat |= {f"{name}.{key}": one for key, one in own} or {name: value}
    return flat


WHERE = "RTX 2080 Ti"
PRINTED = {  # group: items, section, measure, name of the table
    "ccnn": ("1 face", "ccnn.table3_size_speed", "time_ms", "Table 3"),
    "casfne": ("1 image", "casfne.table4_cost", "runtime_ms", "Table IV"),
}


def paper_rows(group: str) -> list[Row]:
    """A row for each time that a group's paper prints, with its source."""
    items, section, measure, table = PRINTED[group]
    title, rows = paper_title(section).split(":")[0], []
    for name, cell in (paper_values(section) or {}).items():
        if measure in cell:
            note = f"{title}, {table}"
            if name[0] == "t" and name[1:].isdigit():  # column "t3" of Cas-FNE's table
                count = int(name[1:]) - 1
                note += f", {count} refinement{'s' * (count != 1)}"
            case = f"{items}, {WHERE}"
            rows.append(Row(group, case, f"paper, {name}", 1, float(cell[measure]), note=note))
    return rows


LIBRARIES = ("onnxruntime", "numpy", "opencv-python-headless", "dlib-bin", "facenet-pytorch")
INSTRUCTIONS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
"""Environment variables that keep PyTorch from instructions that the processor has."""


def machine() -> dict[str, str]:
    """Processor, cores, GPU, system and versions, for people to read."""
    found = {
        "processor": _processor(),
        "cores": str(cores()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "facegeo": __version__,
        "torch": str(torch.__version__),  # with its build, which the package's version may lack
    }
    found |= {name: os.environ[name] for name in INSTRUCTIONS if name in os.environ}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = str(torch.version.cuda)
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """Its name, with the widest vectors that PyTorch uses."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        lines = facts.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
