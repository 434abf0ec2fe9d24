"""``facegeo-dashboard``."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from facegeo.cli.app import launch
from facegeo.errors import UserError
from facegeo.files.shipped import conf_dir

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from facegeo.studies.dashboard import Compared


def _dashboard(cfg: "DictConfig") -> None:
    import json

    from facegeo.cli.typed import word
    from facegeo.files.writing import write_whole
    from facegeo.runs.folder import plain
    from facegeo.studies.dashboard import as_json, push, workspace

    given = plain(cfg)
    project = word("project", given["project"], "the name of a W&B project")
    owner = given["entity"]
    entity = None if owner is None else word("entity", owner, "a user or team of W&B, or null")
    if not isinstance(given["push"], bool):
        raise UserError(f"push must be true or false, got {given['push']!r}")
    studies = [compared(name) for name in _chosen(given["study"])]
    if given["push"]:
        print("\n".join(push(studies, project, entity)))
        return
    built = {s.name: as_json(workspace(s, project, entity or "")) for s in studies}
    text = json.dumps(built, indent=2) + "\n"
    if cfg.out is None:
        print(text, end="")
    else:
        write_whole(Path(str(cfg.out)), text)
        print(f"Workspaces of {', '.join(built)}: {cfg.out}")


def _chosen(study: object) -> list[str]:
    """Names of the studies to describe; those of ``conf/ablation`` where none is named."""
    from facegeo.cli.typed import words

    if study is None:
        return shipped()
    names = words("study", study, "a study of conf/ablation or a folder")
    if not names:
        raise UserError("study=[] names no study; study=null takes all of conf/ablation")
    return names


def shipped() -> list[str]:
    """Return the names of the studies in ``conf/ablation``."""
    folder = conf_dir() / "ablation"
    return sorted(f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


def compared(name: str) -> "Compared":
    """Return what a study compares, from its file in ``conf/ablation`` or its own folder.

    Raises:
        UserError: If there is neither.
    """
    file = conf_dir() / "ablation" / f"{name}.yaml"
    if file.is_file():
        return _of_file(file)
    if Path(name).is_dir():
        return _of_folder(Path(name))
    raise UserError(
        f"there is no study {name}: conf/ablation has {', '.join(shipped())}, and no folder is "
        "called so; give study= one of those or the folder of a study, such as runs/my_shake"
    )


def _of_file(file: Path) -> "Compared":
    from omegaconf import OmegaConf

    from facegeo.studies.dashboard import Compared

    loaded = OmegaConf.load(file)
    params = OmegaConf.select(loaded, "hydra.sweeper.params") or {}
    about = cast("dict[str, Any]", OmegaConf.to_container(loaded.about))
    return Compared(loaded.study, about, _varied(map(str, params)))


def _of_folder(folder: Path) -> "Compared":
    from facegeo.runs.wandb import what_differs
    from facegeo.studies.apart import apart
    from facegeo.studies.comparison import compare
    from facegeo.studies.dashboard import LAST, Compared
    from facegeo.studies.runs import read_folder

    whole = read_folder(folder)
    study = apart([whole])[0]  # as the report does, of the last command's settings
    jobs = [*(job.words for job in study.plan), *(run.overrides for run in study.runs)]
    words = (word for job in jobs for word in what_differs(job, jobs))
    keys = dict.fromkeys(word.partition("=")[0] for word in words)
    found = compare(study)
    measured = dict.fromkeys(row.entry for row in found.rows if row.values)
    rows = list(measured) or study.about.get("rows") or [LAST]
    told = {"split": found.split, "measure": found.measure, "rows": rows}
    return Compared(whole.name, {**study.about, **told}, _varied(keys))


def _varied(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(key.lstrip("+") for key in keys if key != "seed")


def main() -> None:
    """Describe or save workspaces from the command line."""
    sys.argv = ["push=true" if word == "--push" else word for word in sys.argv]
    launch(
        _dashboard,
        "dashboard",
        "Describe, as JSON, the W&B workspace in which the runs of each study are compared: final "
        "metrics, curves by variant, parallel coordinates; or save it there with --push.",
        [
            "facegeo-dashboard study=ccnn/shake",
            "facegeo-dashboard study=[ccnn/shake,casfne/fusion] --push entity=my-team",
        ],
    )
