"""What measures a model, by what the data has to measure it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from facegeo.data.lfpw import LFPWDataModule
from facegeo.data.normal_data import NormalDataModule
from facegeo.data.photo_folder import PhotoFolder
from facegeo.errors import UserError
from facegeo.procedures.report_normals import report_normals
from facegeo.procedures.report_points import report_points
from facegeo.procedures.results import keep_metrics
from facegeo.procedures.show_photos import show_photos

REPORTS: dict[type, Callable[..., dict[str, float]]] = {
    LFPWDataModule: report_points,
    NormalDataModule: report_normals,
    PhotoFolder: show_photos,
}


def report_for(data: object) -> Callable[..., dict[str, float]]:
    """The function that measures a model on these data and draws what it finds.

    Raises:
        UserError: If there is none.
    """
    for kind, report in REPORTS.items():
        if isinstance(data, kind):
            return report
    raise UserError(f"data is a {type(data).__name__}: there is no report for it")


def report_others(
    model: nn.Module, others: Mapping[str, object], folder: Path, device: str, console: Console
) -> dict[str, float]:
    """Measure a trained model on other data too, each in a folder of its name.

    Args:
        model: Trained.
        others: Data modules by name, prepared and checked.
        folder: The run's; its numbers are added to.
        device: Where the model runs.
        console: Shows the tables.

    Returns:
        Metrics with the data's name in place of the split's, such as ``strangers/t2/mean_deg``.
    """
    results: dict[str, float] = {}
    for name, data in others.items():
        (folder / name).mkdir(exist_ok=True)
        found = report_for(data)(model, data, folder / name, ["test"], None, device, console)
        results |= {f"{name}/{key.partition('/')[2]}": value for key, value in found.items()}
    if results:
        keep_metrics(folder, results, console)
    return results


def accelerator(name: str) -> str:
    """CUDA where there is one, else the CPU: Apple's GPU has no float64, as the metrics need."""
    if name != "auto":
        return name
    return "gpu" if torch.cuda.is_available() else "cpu"


def device_of(accelerator: str) -> str:
    """Where a model is measured that was trained with this accelerator."""
    return "cuda" if accelerator in ("gpu", "cuda") else "cpu"
