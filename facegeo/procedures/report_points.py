"""Numbers, table and pictures at the end of a training or an evaluation."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from facegeo.data.lfpw import LFPWDataModule
from facegeo.errors import UserError
from facegeo.figures.curves import ced_plot
from facegeo.figures.faces import found_points
from facegeo.figures.stages import stage_plot
from facegeo.geometry.points import POINT_NAMES, point_errors
from facegeo.metrics.landmark import LandmarkErrors
from facegeo.models.ccnn import Cascade
from facegeo.procedures.diagnose import label_noise, window_misses
from facegeo.procedures.found_points import Found, find_points, mean_shape, measure
from facegeo.procedures.results import keep_metrics, keep_table
from facegeo.studies.paper import printed
from facegeo.tables import stage_table
from facegeo.whole_file import write_whole

SHOWN = 18


def report_points(
    cascade: nn.Module,
    data: LFPWDataModule,
    folder: Path,
    splits: Sequence[str],
    paper: Mapping[str, Any] | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
) -> dict[str, float]:
    """Measure a cascade; write numbers and pictures into ``folder`` and show the table.

    Args:
        cascade: Trained.
        data: The faces.
        folder: Gets ``metrics.json``, and for each split a table (Markdown, CSV), the error of
            each image, pictures of found points, the error curve and the errors by stage.
        splits: Of "val" and "test".
        paper: The paper's average error by stage, ``{error_pct: ...}``, drawn beside ours.
        device: Where the cascade runs.
        console: Shows the table; None: the terminal.

    Returns:
        The metrics, such as ``test/stage1/error_pct``.

    Raises:
        UserError: If the model finds no points.
    """
    if not isinstance(cascade, Cascade):
        raise UserError(
            f"these faces have points and the model is a {type(cascade).__name__}; give "
            "data=sessions or photoface, or the checkpoint of a cascade"
        )
    device = torch.device(device)
    guess = mean_shape(data)
    console = console or Console()
    results: dict[str, float] = {}
    for split in splits:
        found = find_points(cascade, data, split, device)
        measured = measure(found, split, guess)
        for metric in measured.values():
            results |= {name: value.item() for name, value in metric.compute().items()}
        misses = window_misses(cascade, found, split)
        results |= misses
        table = stage_table(results, split, f"{data.title}: {len(found.rows)} {split} faces")
        keep_table(folder, split, table, console)
        shares = ", ".join(f"{name.split('/')[1]} {share:.2f} %" for name, share in misses.items())
        console.print(f"True points outside the window that should hold them: {shares}")
        keep_errors(folder / f"{split}_errors.npz", found)
        _draw(data, found, measured, folder, split, paper)
    if "test" in splits:
        _tell_twins(data, console)
    keep_metrics(folder, results, console)
    return results


def keep_errors(path: Path, found: Found) -> None:
    """Write each image's mean error of the five points, in % of the box width, by stage (N,)."""
    width = found.size[:, 0].double()
    errors: dict[str, Any] = {}
    for i in range(found.points.shape[1]):
        percent = 100 * point_errors(found.points[:, i], found.target, width)
        errors[f"stage{i + 1}"] = percent.mean(dim=1).float().numpy()
    content = io.BytesIO()
    np.savez_compressed(content, **errors)
    write_whole(path, content.getvalue())


def _draw(
    data: LFPWDataModule,
    found: Found,
    measured: Mapping[str, LandmarkErrors],
    folder: Path,
    split: str,
    paper: Mapping[str, Any] | None,
) -> None:
    title = f"{len(found.rows)} {split} faces of {data.title}"
    ced_plot(folder / f"{split}_ced.png", {n: m.ced_curve() for n, m in measured.items()}, title)
    errors = {
        name: torch.stack([values[f"{split}/{name}/error_{point}_pct"] for point in POINT_NAMES])
        for name, values in ((n, m.compute()) for n, m in measured.items())
        if name != "mean_shape"
    }
    ours = {name: error[None] for name, error in errors.items()}
    cells = {name: printed(paper or {}, name, "error_pct") for name in ours}
    beside = {name: cell.value for name, cell in cells.items() if cell}
    stage_plot(folder / f"{split}_stages.png", ours, title, beside)
    shown = torch.linspace(0, len(found.rows) - 1, min(SHOWN, len(found.rows))).long()
    images, corners = zip(*(_cutout(data, split, int(found.rows[i])) for i in shown), strict=True)
    origin = torch.stack(corners)[:, None]
    found_points(
        folder / f"{split}_points.png",
        images,
        found.target[shown] + origin,
        found.points[shown, -1] + origin,
        title,
    )


def _cutout(data: LFPWDataModule, split: str, row: int) -> tuple[np.ndarray, Tensor]:
    """The stored region of a face, uint8 (H, W, 3), and the box's corner in it, px (2,)."""
    faces = data.faces("test" if split == "test" else "train")
    corner = faces.boxes[row, 0::2] - faces.store.origin[row].cpu()
    return faces.store.image(row).cpu().numpy(), corner


def _tell_twins(data: LFPWDataModule, console: Console) -> None:
    """Name test images that were trained on, and what labelling a photograph twice tells."""
    noise = label_noise(data)
    if len(noise):
        console.print(
            f"{len(noise)} pairs of byte-identical images were labelled apart: their points differ "
            f"by {100 * noise.mean():.2f} % of the box width on average"
        )
    for train, test in data.twins():
        console.print(f"Test image {test} is byte-identical to training image {train}; it counts")
