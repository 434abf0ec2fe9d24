"""``facegeo-boxes``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _boxes(cfg: "DictConfig") -> object:
    from pathlib import Path

    from hydra.utils import instantiate

    from facegeo.errors import UserError
    from facegeo.landmarks.data import LFPWDataModule
    from facegeo.landmarks.nets import Cascade
    from facegeo.predict.box_report import report_boxes
    from facegeo.predict.keys import check_number
    from facegeo.runs.evaluate import accelerator, device_of
    from facegeo.runs.folder import claim, data_choice, plain
    from facegeo.training.model_file import load_model

    model, _ = load_model(cfg.checkpoint)
    data = instantiate(cfg.data)
    if not (isinstance(model, Cascade) and isinstance(data, LFPWDataModule)):
        raise UserError(
            f"boxes are measured with a cascade and faces with points: got {cfg.checkpoint} and "
            f"data={data_choice()}; wanted data=lfpw or generated"
        )
    for key, middle, least in (("shifts", 0, 0), ("scales", 1, 0.1)):
        values = plain(cfg)[key]
        if not isinstance(values, list) or middle not in values:
            raise UserError(f"{key} must be a list with {middle}, the given box; got {values}")
        for value in values:
            check_number(f"each of {key}", value, least)
    data.prepare_data()
    data.check(["test"])
    folder = Path(cfg.out) / str(cfg.name)
    claim(folder, plain(cfg))
    device = device_of(accelerator(cfg.accelerator))
    return report_boxes(model, data, folder, list(cfg.shifts), list(cfg.scales), device)


def main() -> None:
    """Measure what a wrong box costs, from the command line."""
    launch(
        _boxes,
        "boxes",
        "Measure what a wrong face box costs: a cascade's error on test faces with the given boxes "
        "moved and scaled, and with the boxes of OpenCV's Haar cascade, whose mapping to the "
        "training's boxes is fitted on the training list. Tables, CSV and a plot.",
        [
            "facegeo-boxes data=lfpw data.root=DIR",
            "facegeo-boxes data=lfpw data.root=DIR shifts=[0,.1] scales=[.9,1,1.1] name=quick",
        ],
    )
