"""``facegeo-dashboard``."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from facegeo.cli.app import launch
from facegeo.errors import UserError
from facegeo.paths import conf_dir

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from facegeo.tracking.dashboard import Compared


def _dashboard(cfg: "DictConfig") -> None:
    import json

    from facegeo.tracking.dashboard import as_json, push, workspace
    from facegeo.whole_file import write_whole

    chosen = shipped() if cfg.study is None else cfg.study
    studies = [compared(name) for name in ([chosen] if isinstance(chosen, str) else chosen)]
    if cfg.push:
        print("\n".join(push(studies, cfg.project, cfg.entity)))
        return
    built = {s.name: as_json(workspace(s, cfg.project, cfg.entity or "")) for s in studies}
    text = json.dumps(built, indent=2) + "\n"
    if cfg.out is None:
        print(text, end="")
    else:
        write_whole(Path(cfg.out), text)
        print(f"Workspaces of {', '.join(built)}: {cfg.out}")


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

    from facegeo.tracking.dashboard import Compared

    loaded = OmegaConf.load(file)
    params = OmegaConf.select(loaded, "hydra.sweeper.params") or {}
    about = cast("dict[str, Any]", OmegaConf.to_container(loaded.about))
    return Compared(loaded.study, about, _varied(map(str, params)))


def _of_folder(folder: Path) -> "Compared":
    from facegeo.studies.runs import read_folder
    from facegeo.tracking.dashboard import Compared
    from facegeo.tracking.job_names import what_differs

    study = read_folder(folder)
    jobs = [*(job.words for job in study.plan), *(run.overrides for run in study.runs)]
    words = (word for job in jobs for word in what_differs(job, jobs))
    keys = dict.fromkeys(word.partition("=")[0] for word in words)
    normals = any("/t0/" in metric for run in study.runs for metric in run.metrics)
    about = {"measure": "mean_deg" if normals else "error_pct", **study.about}
    return Compared(study.name, about, _varied(keys))


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
