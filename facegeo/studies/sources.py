"""Where studies come from: their folders, folders of single runs, or what W&B kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facegeo.errors import UserError
from facegeo.files.shipped import PLAN
from facegeo.studies.runs import Study, make_study, planned, read_folder, read_run


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
    names = {run.experiment for run in runs}
    name = names.pop() if len(names) == 1 else None
    return replace(make_study(name or "runs", runs), about={})


def _from_wandb(place: str, names: Sequence[str]) -> list[Study]:
    from facegeo.studies.wandb_logs import read_api, read_offline

    folder = Path(place)
    if folder.is_dir():
        found = read_offline(folder)
        kept = names or dict.fromkeys(run.study for run in found)
        of_study = {name: [run for run in found if run.study == name] for name in kept}
    elif names:
        of_study = {name: read_api(place, name) for name in names}
    else:
        raise UserError(f"name the studies to read from {place}: facegeo-report NAME wandb={place}")
    for name, runs in of_study.items():
        if not runs:
            raise UserError(
                f"{place} has no run of a study {name!r}; its runs' group is the study's name"
            )
    places = {name: [folder / name, *([folder] if len(of_study) == 1 else [])] for name in of_study}
    return [
        planned(name, runs, next((one for one in places[name] if (one / PLAN).is_file()), None))
        for name, runs in of_study.items()
    ]
