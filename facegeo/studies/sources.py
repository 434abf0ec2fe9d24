"""Where studies come from: their folders, folders of single runs, or what W&B kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from facegeo.errors import UserError
from facegeo.studies.runs import Study, StudyRun, make_study, read_folder, read_run


def find_studies(
    studies: Sequence[str], runs: Sequence[str] = (), wandb: str | None = None
) -> list[Study]:
    """Read what a user named.

    Args:
        studies: Folders of studies; with ``wandb`` the names of those to take, or none for all.
        runs: Folders of finished runs, compared although they belong to no study.
        wandb: A folder with the files that W&B keeps, or ENTITY/PROJECT on its server.

    Raises:
        UserError: If nothing is named, or what is named is not there.
    """
    if wandb is not None:
        return _from_wandb(wandb, studies)
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
    """Make a study of finished runs that belong to none.

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
    name = next((run.experiment for run in runs if run.experiment), None)
    return replace(make_study(name or "runs", runs), about={})


def _from_wandb(place: str, names: Sequence[str]) -> list[Study]:
    from facegeo.studies.wandb_runs import read_api, read_offline

    if Path(place).is_dir():
        found = read_offline(Path(place))
        kept = names or dict.fromkeys(run.study for run in found)
        return [_study(name, (run for run in found if run.study == name)) for name in kept]
    if not names:
        raise UserError(f"name the studies to read from {place}: facegeo-report NAME wandb={place}")
    return [_study(name, read_api(place, name)) for name in names]


def _study(name: str, runs: Iterable[StudyRun]) -> Study:
    study = make_study(name, runs)
    if not study.runs:
        raise UserError(f"W&B has no run of a study {name!r}; its runs' group is the study's name")
    return study
