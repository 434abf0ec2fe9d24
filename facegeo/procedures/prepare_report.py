"""What a preparation did, in a table, and what is to be doubted."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from facegeo.geometry.normals import LIKE_A_FACE
from facegeo.procedures.prepare_session import Prepared
from facegeo.tables import Table

TRUTH_ROWS = {
    "mean": "mean angle to the session's own normals, deg",
    "median": "median of it",
    "plain_mean": "the same by plain least squares: mean",
    "plain_median": "median",
    "kept_mean": "mean angle at the pixels that are kept, deg",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What was done.

    Attributes:
        done: Sessions written now.
        kept: Sessions that were there already.
        faulty: Sessions left out.
        records: Of all sessions in the folder, those of earlier calls too.
    """

    done: int
    kept: int
    faulty: int
    records: Sequence[Prepared]


def report_table(report: Report, title: str) -> Table:
    """Tabulate what was done."""
    records = report.records
    rows: list[tuple[str, float | int]] = [
        ("sessions prepared now", report.done),
        ("sessions finished before", report.kept),
        ("sessions left out", report.faulty),
    ]
    if records:
        rows += [
            ("face pixels that a light misses, %", 100 * _median(records, "shadow")),
            ("face pixels that fewer than three reach, %", 100 * _median(records, "unsure")),
        ]
    truths = [record.truth for record in records if record.truth is not None]
    for key, text in TRUTH_ROWS.items():
        if truths:
            rows.append((text, statistics.fmean(getattr(truth, key) for truth in truths)))
    note = f"Shares are medians over {len(records)} sessions."
    if truths:
        note += f" Angles to the sessions' own normal maps are means over {len(truths)} sessions."
    return Table(title=title, columns=("", "value"), rows=tuple(rows), note=note)


def _median(records: Sequence[Prepared], key: str) -> float:
    return float(statistics.median(getattr(record, key) for record in records))


def warn_of_flat(records: Sequence[Prepared], lights_frame: str) -> None:
    """Doubt the lights' frame, which no residual tells, if the faces do not bulge."""
    if records and _median(records, "bulge") < LIKE_A_FACE:
        log.warning(
            "the normals do not look like those of faces (correlation with a ball %.2f, want %g): "
            "azimuths may count from another axis; try lights_frame other than %s",
            _median(records, "bulge"),
            LIKE_A_FACE,
            lights_frame,
        )
