"""Runs read back from W&B."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from facegeo.errors import UserError
from facegeo.runs.wandb import from_config, from_summary
from facegeo.studies.runs import Status, StudyRun


@dataclass(frozen=True)
class LoggedRun:
    """One run of W&B.

    Attributes:
        config: Plain settings, with the job's record under ``record``.
        metrics: Final metrics by name; what of them there is.
        link: The job's folder, absolute, or the run's page.
        folder: The job's folder, if the files are on this machine.
    """

    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    link: str
    folder: Path | None = None


class ApiRun(Protocol):
    """What is read of a run of ``wandb.Api``."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its config."""

    @property
    def summary_metrics(self) -> Mapping[str, Any]:
        """Its summary."""

    @property
    def url(self) -> str:
        """Its page."""


class Api(Protocol):
    """What is used of ``wandb.Api``."""

    def runs(self, path: str, filters: dict[str, Any], *, lazy: bool) -> Any:  # noqa: ANN401
        """Runs, as an iterable of ``ApiRun``."""


def offline_runs(folder: Path) -> list[LoggedRun]:
    """Read all runs that W&B keeps in files anywhere below a folder, sent or not.

    A job that was killed and went on wrote several files, of which later ones tell more.

    Raises:
        UserError: If there is none, or ``wandb leet inspect`` can not read one.
    """
    files = sorted(file for file in folder.rglob("wandb/*run-*/run-*.wandb") if file.is_file())
    if not files:
        raise UserError(
            f"{folder} holds no run of W&B, wandb/offline-run-*/run-*.wandb, in any folder of it; "
            "name a folder of runs that were trained with logger=wandb"
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = list(pool.map(_inspect, files))
    sessions: dict[Path, list[Mapping[str, Any]]] = {}
    for file, session in zip(files, read, strict=True):
        sessions.setdefault(file.parents[2], []).append(session)
    runs = [_merged(job, found) for job, found in sessions.items()]
    return [run for run in runs if run.config]


def api_runs(path: str, study: str, api: Api | None = None) -> list[LoggedRun]:
    """Read the runs of a study from W&B's server.

    Args:
        path: ENTITY/PROJECT.
        study: The group of the runs.
        api: Stands in for ``wandb.Api()``.

    Raises:
        UserError: If the server can not be asked, or knows no such run.
    """
    try:
        if api is None:
            import wandb

            api = wandb.Api()
        found = [
            LoggedRun(from_config(run.config), from_summary(run.summary_metrics), run.url)
            for run in api.runs(path, {"group": study}, lazy=False)
        ]
    except Exception as error:  # of the network, the account, the project
        raise UserError(
            f"W&B does not give the runs of {study} in {path} ({error}); see `wandb login`, and "
            "name ENTITY/PROJECT"
        ) from error
    runs = [run for run in found if run.config]
    if not runs:
        raise UserError(f"{path} has no run of facegeo in a group {study}; were they synced?")
    return runs


def _inspect(file: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        session: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise UserError(
            f"{file} is not a run that `wandb leet inspect` can read ({done.stderr.strip()}); "
            "remove it, or train again"
        ) from error
    return session


def _merged(job: Path, sessions: list[Mapping[str, Any]]) -> LoggedRun:
    """Sessions of one run as one; of what several tell, the latest counts."""
    config: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    for session in sorted(sessions, key=lambda session: str(session["start_time"])):
        config |= from_config(session["config"])
        metrics |= from_summary(session["summary"])
    return LoggedRun(config, metrics, str(job.resolve()), job)


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
