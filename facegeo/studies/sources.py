"""Read studies from their folders, from folders of single runs, or from W&B's server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facegeo.errors import UserError
from facegeo.studies.runs import Study, StudyRun, make_study, read_folder, read_run, study_run


def find_studies(
    studies: Sequence[str], runs: Sequence[str] = (), wandb: str | None = None
) -> list[Study]:
    """Read the studies that a user named.

    Args:
        studies: Folders of studies; with ``wandb`` the names of studies.
        runs: Folders of finished runs to compare although they belong to no study.
        wandb: ENTITY/PROJECT on W&B's server, instead of folders.

    Raises:
        UserError: If nothing is named, or something named does not exist.
    """
    if wandb is not None:
        if Path(wandb).is_dir():
            raise UserError(
                f"wandb={wandb} is a folder, wanted ENTITY/PROJECT of W&B's server; the folders of "
                "runs hold the same numbers: facegeo-report FOLDER"
            )
        if not studies:
            raise UserError(
                f"name the studies to read from {wandb}: facegeo-report NAME wandb={wandb}"
            )
        return [make_study(name, read_api(wandb, name)) for name in studies]
    found = [read_folder(Path(folder)) for folder in studies]
    if runs:
        found.append(loose_study([Path(folder) for folder in runs]))
    if not found:
        raise UserError(
            "there is nothing to report on: name folders of studies (facegeo-report FOLDER) or "
            "runs=[FOLDER,FOLDER]"
        )
    return found


def loose_study(folders: Sequence[Path]) -> Study:
    """Make a study of finished runs that belong to no study.

    Raises:
        UserError: If a folder holds no finished run.
    """
    runs = [read_run(folder) for folder in folders]
    for run, folder in zip(runs, folders, strict=True):
        if run.status != "done":
            raise UserError(
                f"{folder} holds no finished run ({run.error or run.status}); name folders that "
                "facegeo-train finished, as runs=[FOLDER,FOLDER]"
            )
    names = {run.experiment for run in runs}
    name = names.pop() if len(names) == 1 else None
    return make_study(name or "runs", [replace(run, planned=()) for run in runs], about={})


def read_api(path: str, study: str, api: Any = None) -> list[StudyRun]:  # noqa: ANN401
    """Read the runs of a study, which is their group, from ENTITY/PROJECT on W&B's server.

    ``api`` replaces ``wandb.Api()``.

    Raises:
        UserError: If the server cannot be reached, or has no such run.
    """
    from facegeo.runs.wandb import from_config, from_summary  # slow to import: Lightning

    found = []
    try:
        if api is None:
            import wandb

            api = wandb.Api()
        for run in api.runs(path, {"group": study}, lazy=False):
            if config := from_config(run.config):
                record = config.pop("record", None) or {}
                found.append(study_run(config, record, from_summary(run.summary_metrics), run.url))
    except Exception as error:  # of the network, the account, the project
        raise UserError(
            f"W&B does not give the runs of {study} in {path} ({error}); see `wandb login`, and "
            "name ENTITY/PROJECT"
        ) from error
    if not found:
        raise UserError(f"{path} has no run of facegeo in a group {study}; were they synced?")
    return found
