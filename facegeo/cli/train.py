"""``facegeo-train``."""

import sys

from facegeo.cli.app import INTERRUPTED, STOPPED, DictConfig, launch


def _train(cfg: DictConfig) -> object:
    from facegeo.runs.sweep import job

    return job(cfg)


def main() -> None:
    """Train a model from the command line; the exit code is 1 if a job of a sweep failed."""
    try:
        _launch()
    except BaseException as end:  # a launcher dies if one of its processes is killed
        study = sys.modules.get("facegeo.studies.callback")
        if study and not (isinstance(end, SystemExit) and end.code in (INTERRUPTED, STOPPED)):
            study.show_broken_off()
        raise
    if study := sys.modules.get("facegeo.studies.callback"):
        sys.exit(1 if study.FAILED else 0)  # W&B takes no bool


def _launch() -> None:
    launch(
        _train,
        "train",
        "Train a model, measure it on the test faces, and draw its results. Without arguments: "
        "renders faces and trains the three stages of CCNN on them, in minutes. The same command "
        "again resumes from the last checkpoint.",
        [
            "facegeo-train",
            "facegeo-train experiment=ccnn/tuned data=lfpw data.root=DIR",
            "facegeo-train experiment=casfne/paper data=photoface data.root=DIR",
            "facegeo-train -m ablation=ccnn/shake data=lfpw data.root=DIR",
            "facegeo-train -m data.augment.shake_sigma=0,.01,.02 seed=0,1,2 study=my_shake",
        ],
        interrupted="interrupted; the same command resumes from its last checkpoint",
    )
