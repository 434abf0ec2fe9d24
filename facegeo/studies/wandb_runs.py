"""Runs of a study as W&B kept them, equal to what their folders say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facegeo.studies.runs import Status, StudyRun
from facegeo.tracking.wandb_logs import Api, LoggedRun, api_runs, offline_runs


def read_offline(folder: Path) -> list[StudyRun]:
    """Read runs from the files that W&B keeps below a folder.

    Raises:
        UserError: If there is none, or one can not be read.
    """
    return _study_runs(offline_runs(folder))


def read_api(path: str, study: str, api: Api | None = None) -> list[StudyRun]:
    """Read a study's runs from W&B's server.

    Args:
        path: ENTITY/PROJECT.
        study: Name of the study, which is the group of its runs.
        api: Stands in for ``wandb.Api()``.

    Raises:
        UserError: If the server can not be asked, or knows no such run.
    """
    return _study_runs(api_runs(path, study, api))


def _study_runs(logged: Iterable[LoggedRun]) -> list[StudyRun]:
    return [_study_run(run) for run in logged]


def _study_run(run: LoggedRun) -> StudyRun:
    config = dict(run.config)
    record = config.pop("record", None) or {}
    status: Status = "done" if run.metrics else "running"
    if record.get("status") in ("running", "stopped", "failed"):
        status = record["status"]
    return StudyRun(
        study=str(record.get("study") or config.get("study") or ""),
        experiment=record.get("experiment"),
        seed=record.get("seed", config.get("seed")),
        overrides=tuple(map(str, record.get("overrides") or ())),
        config=config,
        metrics=run.metrics if status == "done" else {},
        record=record,
        status=status,
        link=run.link,
        folder=run.folder,
    )
