"""``facegeo-train``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _train(cfg: "DictConfig") -> object:
    from facegeo.runner import run

    return run(cfg)


def main() -> None:
    """Train a model from the command line."""
    launch(
        _train,
        "train",
        "Train a model, measure it on the test faces, and show what it finds. Without arguments: "
        "renders faces and trains the three stages of CCNN on them, in minutes. The same command "
        "again goes on from the last checkpoint.",
        [
            "facegeo-train",
            "facegeo-train experiment=ccnn/tuned data=lfpw data.root=DIR",
            "facegeo-train experiment=casfne/paper data=photoface data.root=DIR",
            "facegeo-train -m experiment=ccnn/paper data=lfpw data.root=DIR seed=0,1,2",
        ],
        interrupted="interrupted; the same command goes on from its last checkpoint",
    )
