"""Prepare raw Photoface-like sessions and report how it went."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from facegeo.errors import UserError
from facegeo.files.tables import Table
from facegeo.geometry.normals import FRAMES, LIKE_A_FACE
from facegeo.normals.prepare import (
    Prepared,
    claim,
    is_finished,
    prepare_session,
    progress,
    share,
    stop_or_warn,
    survey,
    write_list,
    write_manifest,
)
from facegeo.normals.sessions import (
    FORMATS,
    Reading,
    SessionFault,
    find_root,
    find_sessions,
    read_session,
)
from facegeo.rendering.order import check_processes

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


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Everything that decides what is written.

    Attributes:
        root: ``PhotofaceDB``, the folder that holds it, or any folder ``<subject>/<session>``.
        out: Folder to write to: new, empty, or written by the same preparation.
        reading: How to read lights and points.
        frame: Axes of the normals written, a key of ``FRAMES``.
        source_frame: Axes of a normal map that a session already has, to compare with.
        on_error: "raise" or "skip" faulty sessions.
        processes: How many share the work; None for one a core.
    """

    root: Path
    out: Path
    reading: Reading = field(default_factory=Reading)
    frame: str = "down_right_camera"
    source_frame: str = "down_right_camera"
    on_error: Literal["raise", "skip"] = "raise"
    processes: int | None = None

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If an option is out of range; the text names it.
        """
        for key, value, choices in (
            ("frame", self.frame, FRAMES),
            ("source_frame", self.source_frame, FRAMES),
            ("lights_frame", self.reading.lights_frame, FRAMES),
            ("lights", self.reading.lights, FORMATS),
            ("on_error", self.on_error, ("raise", "skip")),
        ):
            if value not in choices:
                raise UserError(f"{key} must be one of {', '.join(choices)}; got {value!r}")
        check_processes(self.processes)

    def options(self) -> dict[str, Any]:
        """What decides the bytes of a session, as plain values."""
        return {**asdict(self.reading), "frame": self.frame, "source_frame": self.source_frame}


def prepare(preparation: Preparation) -> Report:
    """Write what the folder lacks.

    Args:
        preparation: What to write, and where.

    Returns:
        What was done.

    Raises:
        UserError: If an option is out of range, sessions are faulty (with every fault) or the
            folder holds something else.
    """
    preparation.check()
    root, out = find_root(preparation.root.expanduser()), preparation.out.expanduser()
    claim(root, out, preparation.options())
    names = find_sessions(root)
    if not names:
        raise UserError(
            f"root={root} must hold folders <subject>/<session> with im0.bmp to im3.bmp and "
            "LightSource.m, found none"
        )
    sessions, faults = survey(names, partial(read_session, root, reading=preparation.reading))
    stop_or_warn(faults, preparation.root, preparation.on_error)
    todo = [session for session in sessions if not is_finished(out, session)]
    if todo:
        write_manifest(out, preparation.options(), *_contents(preparation, 0), complete=False)
    work = partial(prepare_session, out, preparation.frame, preparation.source_frame)
    results = list(progress(share(work, todo, preparation.processes), "Preparing", len(todo)))
    late = [result for result in results if isinstance(result, SessionFault)]
    stop_or_warn(late, preparation.root, preparation.on_error)
    lost = {fault.session for fault in late}
    records = [Prepared.read(out / s.name) for s in sessions if s.name not in lost]
    finished = [record for record in records if record is not None]
    write_list(out, finished)
    contents = _contents(preparation, len(finished))
    write_manifest(out, preparation.options(), *contents, complete=True)
    warn_of_flat(finished, preparation.reading.lights_frame)
    faulty = len({fault.session for fault in [*faults, *late]})
    return Report(len(results) - len(late), len(sessions) - len(todo), faulty, finished)


def _contents(preparation: Preparation, count: int) -> tuple[dict[str, int], dict[str, str]]:
    """Counts and notes of the manifest."""
    notes = {
        "normals": f"channels: {preparation.frame}; colour = (n + 1) / 2 * 255; white: no face",
        "mask": "hull of the points; without points: where three lights or more reach the "
        "session's own mask or, without one, the largest bright surface",
        "albedo": "1 = its 99th percentile in the session's mask",
    }
    return {"sessions": count, "faces": 4 * count}, notes
