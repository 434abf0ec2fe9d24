"""The record of a planned job, which a sweep writes into each job's folder before its first job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from facegeo.files.writing import write_whole

PLANNED = "planned.json"


@dataclass(frozen=True)
class Planned:
    """A job as a command planned it.

    Attributes:
        command: Starts or resumes the job and those planned with it.
        base: Hash of the settings that all jobs of its table share; empty for a study without axes
            of its own.
        shared: The overrides behind ``base``, for readers.
        experiment: The choice of ``experiment``.
        overrides: Of the job: from the command and its axes.
        config: Of the job: composed, plain values.
        order: Sorts the jobs of a study: time of a command, s, and number of the job in it.
        trials: Only of a search, whose jobs are not known before: runs to make, 0 once all were
            made. Its ``overrides`` are empty.
    """

    command: str
    base: str
    shared: str
    experiment: str | None
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    order: tuple[float, int]
    trials: int | None = None


FILE = TypeAdapter(list[Planned])


def read_planned(folder: Path) -> list[Planned]:
    """Read a job's records, one a base, the last command's first; empty if missing or damaged."""
    try:
        return FILE.validate_json((folder / PLANNED).read_bytes())
    except (OSError, ValueError):
        return []


def write_planned(folder: Path, planned: Planned) -> None:
    """Add a record to a job's folder; an earlier one with the same base is replaced."""
    others = [one for one in read_planned(folder) if one.base != planned.base]
    write_whole(folder / PLANNED, FILE.dump_json([planned, *others], indent=1))
